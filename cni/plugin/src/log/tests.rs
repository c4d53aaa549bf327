use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::*;

fn settings(folder: &Path) -> LogSettings {
    LogSettings {
        level: Level::Info,
        path: folder.join("logs/spiderpool.log"),
        max_bytes: 1000,
        max_age: Duration::from_secs(24 * 60 * 60),
        max_count: 2,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_says_when_what_and_about_whom() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let log = Log::open(&settings, [("pod", "shop/web-0")]);
    log.debug("left out");
    log.info("two\nlines");
    log.error("bad");
    let lines = lines(&settings.path);
    let shown: Vec<_> = lines.iter().map(|line| (&line["level"], &line["msg"], &line["pod"])).collect();
    assert_eq!(
        shown,
        [
            (&"info".into(), &"two\nlines".into(), &"shop/web-0".into()),
            (&"error".into(), &"bad".into(), &"shop/web-0".into()),
        ]
    );
    humantime::parse_rfc3339(lines[0]["ts"].as_str().unwrap()).unwrap();
}

#[test]
fn a_log_that_cannot_be_written_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.path = PathBuf::from("/proc/nowhere/spiderpool.log");
    Log::open(&settings, []).error("lost");
    settings.path = PathBuf::from("/dev/full");
    Log::open(&settings, []).error("lost too");
}

#[test]
fn a_log_that_is_too_large_is_put_aside_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let logs = settings.path.parent().unwrap();
    fs::create_dir(logs).unwrap();
    let now = SystemTime::now();
    let stamp = |days: u64| {
        let at = now - Duration::from_secs(days * 24 * 60 * 60 + 60);
        humantime::format_rfc3339_millis(at).to_string().replace(':', "-")
    };
    let [yesterday, today] = [1, 0].map(|days| format!("spiderpool-{}.log", stamp(days)));
    for name in [yesterday.as_str(), today.as_str(), "spiderpool-notes.log", "other-2020-01-01T00-00-00.000Z.log"] {
        fs::write(logs.join(name), name).unwrap();
    }
    fs::write(&settings.path, vec![b'x'; 1000]).unwrap();
    Log::open(&settings, []).info("first of the new");
    assert_eq!(lines(&settings.path)[0]["msg"], "first of the new");
    let left = names(logs);
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(left.contains(&today) && !left.contains(&yesterday), "{left:?}");

    fs::write(&settings.path, vec![b'x'; 1000]).unwrap();
    thread::sleep(Duration::from_millis(2));
    Log::open(&settings, []).info("first of the newest");
    let left = names(logs);
    assert_eq!(left.len(), 5, "the count is kept: {left:?}");
    assert!(!left.contains(&today), "{left:?}");
}

#[test]
fn no_line_is_lost_when_many_rotate_at_once() {
    const WRITERS: usize = 16;
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings { max_count: 100, ..settings(folder.path()) };
    let start = Barrier::new(WRITERS);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                start.wait();
                for number in 0..50 {
                    Log::open(&settings, []).info(number);
                }
            });
        }
    });
    let logs = settings.path.parent().unwrap();
    let files = names(logs);
    let count: usize = files.iter().map(|name| lines(&logs.join(name)).len()).sum();
    assert_eq!(count, WRITERS * 50, "{files:?}");
    assert!(files.len() > 2, "{files:?}");
}
