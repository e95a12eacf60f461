//! Logs and metrics of the process.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::fmt;
use std::panic::PanicHookInfo;
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

/// Logs go to standard error, as long as somebody reads them; standard output is for scripts. What a panic says is a line of
/// the log, too: the standard library would wait for a reader that does not read, and the thread with it.
pub fn init_logs(log: &LogSettings) -> anyhow::Result<()> {
    dispatch(log, || ToStderr)?.try_init().context("logs")?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(tracing::field::display);
    let backtrace = Backtrace::capture();
    // If `RUST_BACKTRACE` asks for one.
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace));
    let said = panic.payload_as_str().unwrap_or("it says nothing");
    tracing::error!(panic.location = place, panic.backtrace = backtrace, "A panic: {said}");
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
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::testing::Lines;
    use super::*;
    use crate::testing::pipe::full_pipe;

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

    /// Tells a process of this test that it is to panic.
    const PANICS: &str = "DEEPTRAVEL_TEST_PANICS";
    /// The test that does so, as such a process is told.
    const PANICKING: &str = "telemetry::tests::fault_9_a_panic_does_not_wait_for_a_reader_that_does_not_read";
    /// On a machine that does other things, too.
    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn fault_9_a_panic_does_not_wait_for_a_reader_that_does_not_read() {
        if std::env::var_os(PANICS).is_some() {
            init_logs(&LogSettings::text("info")).unwrap();
            std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
            return;
        }
        let (_reader, writer) = full_pipe().unwrap();
        let mut panicking = Command::new(std::env::current_exe().unwrap());
        panicking.args([PANICKING, "--exact", "--nocapture"]).env(PANICS, "1").stdout(Stdio::piped()).stderr(writer);
        let (mut panicking, since) = (panicking.spawn().unwrap(), Instant::now());
        while panicking.try_wait().unwrap().is_none() && since.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = panicking.kill();
        let output = panicking.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
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
