//! Certificates, signed by an authority of one's own.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// Who signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server shows, and its key, as PEM.
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn fresh() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a host, good for longer than anybody tests.
    pub fn sign(&self, host: &str) -> Certified {
        self.sign_for(host, (2000, 1, 1), (2100, 1, 1))
    }

    /// The same between two days: years, months and days.
    pub fn sign_for(&self, host: &str, from: (i32, u8, u8), until: (i32, u8, u8)) -> Certified {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        Certified { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}
