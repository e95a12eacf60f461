//! What processes use, from `/proc`: processor time and memory of the server, its Postgres, and ourselves; how often
//! the server's threads were switched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Units of the times in `/proc/PID/stat`: Linux shows every process hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds used so far.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Usage {
    /// Of the server, by group of threads.
    pub server_threads: BTreeMap<String, f64>,
    pub server: f64,
    /// How often a thread of the server has given up its core or lost it.
    pub server_switches: u64,
    pub postgres: f64,
    pub generator: f64,
    /// All of the machine, idle time excluded.
    pub machine: f64,
}

/// Reads the processor time of a server and its children, and our own.
pub fn usage(server: Option<u32>) -> Usage {
    let mut usage = Usage { generator: cpu_seconds(Path::new("/proc/self/stat")), ..Usage::default() };
    usage.machine = machine_seconds().unwrap_or(0.0);
    if let Some(pid) = server {
        usage.server = cpu_seconds(&process(pid).join("stat"));
        usage.server_threads = threads(pid);
        usage.server_switches = switches(pid);
        usage.postgres = descendants(pid).into_iter().map(|child| cpu_seconds(&process(child).join("stat"))).sum();
    }
    usage
}

impl Usage {
    /// What was used since `before`.
    #[must_use]
    pub fn since(&self, before: &Usage) -> Usage {
        let threads = self.server_threads.iter().map(|(name, seconds)| {
            let earlier = before.server_threads.get(name).copied().unwrap_or(0.0);
            (name.clone(), (seconds - earlier).max(0.0))
        });
        Usage {
            server_threads: threads.collect(),
            server: (self.server - before.server).max(0.0),
            server_switches: self.server_switches.saturating_sub(before.server_switches),
            postgres: (self.postgres - before.postgres).max(0.0),
            generator: (self.generator - before.generator).max(0.0),
            machine: (self.machine - before.machine).max(0.0),
        }
    }
}

/// Bytes in memory now, and at most so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    pub resident_bytes: u64,
    pub peak_bytes: u64,
}

/// Resident memory of a process; its peak is since its start.
pub fn memory(pid: u32) -> Option<Memory> {
    parse_memory(&fs::read_to_string(process(pid).join("status")).ok()?)
}

fn parse_memory(status: &str) -> Option<Memory> {
    let bytes = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Memory { resident_bytes: bytes("VmRSS")?, peak_bytes: bytes("VmHWM")? })
}

fn process(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// 0 for a process that is gone.
fn cpu_seconds(stat: &Path) -> f64 {
    fs::read_to_string(stat).ok().and_then(|text| parse_stat(&text)).map_or(0.0, |stat| stat.seconds)
}

struct Stat {
    name: String,
    parent: u32,
    /// Of the process itself and of children that have ended.
    seconds: f64,
}

/// A line of `/proc/PID/stat`. The name is in parentheses and may hold anything, so fields count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let (begin, end) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(end + 1..)?.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok());
    // After the name: state, parent, and from the eleventh on user and system time, own and of ended children.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Stat {
        name: text.get(begin + 1..end)?.to_owned(),
        parent: u32::try_from(number(1)?).ok()?,
        seconds: ticks as f64 / TICKS_PER_SECOND,
    })
}

/// Threads whose names differ only in their number are one group.
fn threads(pid: u32) -> BTreeMap<String, f64> {
    let mut groups: BTreeMap<String, f64> = BTreeMap::new();
    for task in fs::read_dir(process(pid).join("task")).into_iter().flatten().flatten() {
        let Ok(text) = fs::read_to_string(task.path().join("stat")) else { continue };
        let Some(stat) = parse_stat(&text) else { continue };
        let group = stat.name.trim_end_matches(|end: char| end.is_ascii_digit() || "-_:# ".contains(end));
        // A thread's line counts ended children of the whole process again; threads have none of their own to speak of.
        *groups.entry(group.to_owned()).or_default() += thread_seconds(&text).unwrap_or(0.0);
    }
    groups
}

/// Context switches of a process: of the threads that it has now.
fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(process(pid).join("task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok()).map(|text| parse_switches(&text)).sum()
}

/// Those that a thread wanted, because it waits, and those that the kernel wanted.
fn parse_switches(status: &str) -> u64 {
    let lines = status.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
    lines.filter_map(|(_, times)| times.trim().parse::<u64>().ok()).sum()
}

fn thread_seconds(stat: &str) -> Option<f64> {
    let fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
    Some(ticks as f64 / TICKS_PER_SECOND)
}

/// Children, their children, and so on.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).ok().and_then(|text| parse_stat(&text));
        if let Some(stat) = stat {
            children.entry(stat.parent).or_default().push(child);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(parent) = open.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        found.extend(&below);
        open.extend(below);
    }
    found
}

fn machine_seconds() -> Option<f64> {
    parse_machine(&fs::read_to_string("/proc/stat").ok()?)
}

/// User, nice and system time, interrupts; not idle time nor waits.
fn parse_machine(text: &str) -> Option<f64> {
    let fields: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .filter_map(|text| text.parse().ok())
        .collect();
    let busy: u64 = [0, 1, 2, 5, 6].iter().filter_map(|index| fields.get(*index)).sum();
    Some(busy as f64 / TICKS_PER_SECOND)
}

/// The kind of file system a path is on, as the kernel names it (`ext4`, `tmpfs`).
pub fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let longest = fields.filter(|(mount, _)| path.starts_with(mount)).max_by_key(|(mount, _)| mount.len());
    longest.map(|(_, kind)| kind.to_owned())
}

/// The processor's name, as the kernel tells it.
pub fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// The kernel's version.
pub fn kernel() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())
}

/// All memory of the machine, in bytes.
pub fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?.trim();
    kib.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_hold_anything() {
        let text = "123 (odd ) name) S 77 123 123 0 -1 4194304 1 2 3 4 100 50 25 25 20 0 1 0 1 1 1";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent), ("odd ) name", 77));
        assert!((stat.seconds - 2.0).abs() < 1e-9);
        assert!((thread_seconds(text).unwrap() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_memory(status), Some(Memory { resident_bytes: 1 << 20, peak_bytes: 2 << 20 }));
        assert_eq!(parse_memory("Name:\tx\n"), None);
    }

    #[test]
    fn switches_that_were_wanted_and_others_are_counted() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(parse_switches(status), 42);
        assert!(switches(std::process::id()) > 0);
    }

    #[test]
    fn the_machine_is_busy_but_for_idle_and_waits() {
        assert_eq!(parse_machine("cpu  100 100 100 900 900 50 50 0 0 0\ncpu0 1\n"), Some(4.0));
    }

    #[test]
    fn we_have_used_something_ourselves() {
        let own = std::process::id();
        assert!(memory(own).unwrap().peak_bytes > 0);
        assert!(!threads(own).is_empty());
        assert!(usage(Some(own)).machine > 0.0);
        assert!(file_system(Path::new("/proc")).is_some());
    }
}
