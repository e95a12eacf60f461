//! Logs and metrics of the process.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, format};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::output::ToStderr;

/// Bounds of latency histograms, in seconds: fine around the promises (50 ms, 500 ms).
const LATENCY_BOUNDS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Histograms grow until they are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// A request that cannot be read is its client's fault: it is answered and counted, and no error of ours. A filter that names
/// the module has it back.
const OF_OTHERS: &str = "actix_http::h1::dispatcher=off";

/// Section `log` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    filter: String,
    format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogFormat {
    Text,
    Json,
}

impl LogSettings {
    /// Lines for people.
    pub fn text(filter: &str) -> LogSettings {
        LogSettings { filter: filter.to_owned(), format: LogFormat::Text }
    }

    /// Lines for programs.
    pub fn json(filter: &str) -> LogSettings {
        LogSettings { filter: filter.to_owned(), format: LogFormat::Json }
    }
}

/// Logs go to standard error, as long as somebody reads them; standard output is for scripts.
pub fn init_logs(log: &LogSettings) -> anyhow::Result<()> {
    dispatch(log, || ToStderr)?.try_init().context("logs")
}

/// What writes the lines of a log.
pub fn dispatch<W>(log: &LogSettings, writer: W) -> anyhow::Result<Dispatch>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(format!("{OF_OTHERS},{}", log.filter)).context("log.filter")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match log.format {
        LogFormat::Text => builder.event_format(OfRequest(format().with_target(false))).finish().into(),
        LogFormat::Json => {
            let json = format().json().flatten_event(true);
            builder.json().event_format(OfRequest(json)).finish().into()
        }
    })
}

/// What a line of the log says of the request it belongs to: no token, no body, no query, no name.
#[derive(Debug)]
pub struct RequestMark {
    /// Letters, digits, dashes, underscores and dots.
    pub id: Box<str>,
    pub method: &'static str,
}

thread_local! {
    static REQUEST: RefCell<Option<Rc<RequestMark>>> = const { RefCell::new(None) };
}

/// Polls a request's future; what it logs says which request it was. A span would say the same, and cost every request
/// that logs nothing, which are nearly all, a twentieth of an order.
pub fn in_request<T>(mark: &Rc<RequestMark>, work: impl FnOnce() -> T) -> T {
    /// Puts back what was there, also after a panic.
    struct Before(Option<Rc<RequestMark>>);
    impl Drop for Before {
        fn drop(&mut self) {
            REQUEST.set(self.0.take());
        }
    }
    let _before = Before(REQUEST.replace(Some(Rc::clone(mark))));
    work()
}

/// Adds the request to a line, if there is one.
struct OfRequest<F>(F);

impl<S, N, F> FormatEvent<S, N> for OfRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(request) = REQUEST.with_borrow(Clone::clone) else {
            return self.0.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        let RequestMark { id, method } = &*request;
        match line.strip_prefix('{') {
            Some(fields) => write!(writer, r#"{{"request.id":"{id}","http.method":"{method}",{fields}"#),
            None => writeln!(writer, "{} request.id={id} http.method={method}", line.trim_end()),
        }
    }
}

/// Installs the recorder behind `/metrics`. Once per process.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), &LATENCY_BOUNDS)?
        .install_recorder()
        .context("metrics")?;
    let upkeep = handle.clone();
    std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(UPKEEP);
            upkeep.run_upkeep();
        }
    })?;
    Ok(handle)
}

#[cfg(test)]
pub mod testing {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    pub struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile, as text.
    pub fn lines_of(work: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = builder.event_format(format().with_target(false).without_time()).finish();
        tracing::subscriber::with_default(subscriber, work);
        lines.text().lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Lines;
    use super::*;

    fn logged(json: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let subscriber: Box<dyn Subscriber + Send + Sync> = if json {
            Box::new(builder.json().event_format(OfRequest(format().json().flatten_event(true))).finish())
        } else {
            Box::new(builder.event_format(OfRequest(format().with_target(false).without_time())).finish())
        };
        tracing::subscriber::with_default(subscriber, || {
            let mark = Rc::new(RequestMark { id: "r-1".into(), method: "GET" });
            in_request(&mark, || tracing::warn!(lag = 3, "It lags"));
            tracing::info!("Nobody's");
        });
        lines.text()
    }

    #[test]
    fn r_ops_02_a_line_names_the_request_it_belongs_to_and_no_other() {
        assert_eq!(logged(false), " WARN It lags lag=3 request.id=r-1 http.method=GET\n INFO Nobody's\n");
        let json = logged(true);
        let lines: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["request.id"], &lines[0]["message"]), (&"r-1".into(), &"It lags".into()));
        assert_eq!((&lines[0]["lag"], lines[1].get("request.id")), (&3.into(), None));
    }
}
