//! The encrypted envelope of a notification, as it stands on the wire.

use serde::Deserialize;

pub(crate) const RESOURCE_TYPE: &str = "encrypt-resource";
pub(crate) const ALGORITHM: &str = "AEAD_AES_256_GCM";
pub(crate) const ORIGINAL_TRANSACTION: &str = "transaction";
pub(crate) const ORIGINAL_REFUND: &str = "refund";

/// A notification's body.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) resource_type: String,
    pub(crate) resource: Sealed,
}

/// The encrypted part.
#[derive(Debug, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) original_type: String,
    pub(crate) algorithm: String,
    /// Base64 of data ‖ tag.
    pub(crate) ciphertext: String,
    /// Absent and null mean empty.
    #[serde(default)]
    pub(crate) associated_data: Option<String>,
    pub(crate) nonce: String,
}
