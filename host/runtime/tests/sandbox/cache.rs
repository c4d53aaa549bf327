//! Compiled code: made once, and never trusted when it is not what was made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use spiderpool_runtime::PolicyHost;

use crate::place::{Place, config};

fn code(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("cache")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

#[test]
fn code_is_used_again_without_the_compiler() {
    let place = Place::new();
    assert_eq!(code(place.path()).len(), 4);
    let mut config = config(place.path());
    config.compiler = "/nowhere".into();
    PolicyHost::open(config).unwrap();
}

#[test]
fn damaged_code_is_made_again() {
    let place = Place::new();
    for path in code(place.path()) {
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() / 3], b""] {
            fs::write(&path, damaged).unwrap();
            PolicyHost::open(config(place.path())).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }
}

#[test]
fn code_without_its_seal_is_made_again() {
    let place = Place::new();
    for path in code(place.path()) {
        fs::remove_file(path.with_extension("blake3")).unwrap();
        PolicyHost::open(config(place.path())).unwrap();
        assert!(path.with_extension("blake3").exists());
    }
}

#[test]
fn code_of_another_component_under_its_name_is_not_run() {
    let place = Place::new();
    let paths = code(place.path());
    fs::copy(&paths[0], &paths[1]).unwrap();
    let before = fs::read(&paths[1]).unwrap();
    PolicyHost::open(config(place.path())).unwrap();
    assert_ne!(fs::read(&paths[1]).unwrap(), before);
}

#[test]
fn the_folder_is_closed_to_others() {
    let place = Place::new();
    let cache = place.path().join("cache");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    PolicyHost::open(config(place.path())).unwrap();
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let place = Place::new();
    let cache = place.path().join("cache");
    std::os::unix::fs::chown(&cache, Some(12_345), None)
        .expect("this test gives a folder away and needs root: run it as root, for instance with sudo -E cargo test");
    let error = PolicyHost::open(config(place.path())).map(drop).unwrap_err().to_string();
    assert!(error.contains("it belongs to user 12345"), "{error}");
}

#[test]
fn nothing_is_left_behind_by_compiling() {
    let place = Place::new();
    let entries = fs::read_dir(place.path().join("cache")).unwrap();
    let strange = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strange: Vec<String> = strange.filter(|name| !name.ends_with(".cwasm") && !name.ends_with(".blake3")).collect();
    assert_eq!(strange, Vec::<String>::new());
}

#[test]
fn code_that_nobody_loaded_for_long_is_removed() {
    let place = Place::new();
    let cache = place.path().join("cache");
    let age = |path: &Path| {
        let long_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
        fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    };
    let (unused, dead, strange) = (cache.join("0123.cwasm"), cache.join("compiling-1"), cache.join("letter.txt"));
    fs::write(&unused, "code").unwrap();
    fs::write(&strange, "whoever put this here wants it back").unwrap();
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("policy.wasm"), "half").unwrap();
    let used = code(place.path()).into_iter().find(|path| *path != unused).unwrap();
    // Opening notes that the built-in ones are used, so that the next opening finds only the others old.
    PolicyHost::open(config(place.path())).unwrap();
    [&unused, &dead, &strange].into_iter().for_each(|path| age(path));
    PolicyHost::open(config(place.path())).unwrap();
    assert!(used.exists() && strange.exists() && !unused.exists() && !dead.exists());
    age(&used);
    PolicyHost::open(config(place.path())).unwrap();
    let fresh = fs::metadata(&used).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(fresh < Duration::from_secs(24 * 3600), "made again and noted: {fresh:?}");
}
