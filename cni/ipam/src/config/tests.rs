use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn network(ipam: Value) -> Network {
    Network::parse(json!({"cniVersion": "1.0.0", "name": "underlay", "ipam": ipam}).to_string().as_bytes()).unwrap()
}

#[track_caller]
fn refused(ipam: Value, msg: &str) {
    let error = Config::of(&network(ipam)).unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (Code::InvalidConfig, msg));
}

#[test]
fn what_is_not_said_is_as_documented() {
    let expected = Config {
        default_ipv4_pools: vec![],
        default_ipv6_pools: vec![],
        clean_gateway: false,
        match_master_subnet: false,
        dns: Dns::default(),
        socket: "/var/run/spidernet/spiderpool.sock".into(),
        log: LogSettings {
            level: Level::Info,
            path: "/var/log/spidernet/spiderpool.log".into(),
            max_bytes: 100 << 20,
            max_age: Duration::from_secs(30 * 86_400),
            max_count: 7,
        },
    };
    assert_eq!(Config::of(&network(json!({"type": "spiderpool"}))).unwrap(), expected);
    let nothing = json!({
        "type": "spiderpool", "log_level": "", "log_file_path": "", "log_file_max_size": 0, "log_file_max_age": null,
        "log_file_max_count": "0", "default_ipv4_ippool": null, "ipam_unix_socket_path": "", "unknown": {},
    });
    assert_eq!(Config::of(&network(nothing)).unwrap(), expected);
}

#[test]
fn every_key_counts() {
    let ipam = json!({
        "type": "spiderpool", "log_level": "DEBUG", "log_file_path": "/l", "log_file_max_size": 1,
        "log_file_max_age": "2", "log_file_max_count": 3, "default_ipv4_ippool": ["a", "b*"],
        "default_ipv6_ippool": ["c"], "clean_gateway": true, "match_master_subnet": true,
        "ipam_unix_socket_path": "/s",
    });
    let expected = Config {
        default_ipv4_pools: vec!["a".into(), "b*".into()],
        default_ipv6_pools: vec!["c".into()],
        clean_gateway: true,
        match_master_subnet: true,
        dns: Dns::default(),
        socket: "/s".into(),
        log: LogSettings {
            level: Level::Debug,
            path: "/l".into(),
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(2 * 86_400),
            max_count: 3,
        },
    };
    assert_eq!(Config::of(&network(ipam)).unwrap(), expected);
}

#[test]
fn what_is_wrong_is_named() {
    refused(Value::Null, r#"network "underlay" has no ipam part in its configuration"#);
    refused(json!({}), r#"network "underlay" has no ipam.type in its configuration"#);
    refused(
        json!({"type": "host-local"}),
        r#"ipam.type of network "underlay" is "host-local", but this is spiderpool"#,
    );
    let level = r#"ipam.log_level of network "underlay": unknown log level "loud"; use debug, info, warn or error"#;
    refused(json!({"type": "spiderpool", "log_level": "loud"}), level);
    for (value, why) in [
        (json!("ten"), r#""ten" is not a whole number; write it like 30"#),
        (json!(-1), "expected a whole number that is not negative"),
    ] {
        let msg = format!(r#"ipam of the network configuration "underlay": {why}"#);
        refused(json!({"type": "spiderpool", "log_file_max_age": value}), &msg);
    }
}

#[test]
fn teardown_does_not_stumble_over_the_log() {
    let config = Config::for_teardown(&network(json!({"type": "spiderpool", "log_level": "loud"}))).unwrap();
    assert_eq!(config.log.level, Level::Info);
}

#[test]
fn name_resolution_is_beside_the_ipam_part_and_matters_for_no_teardown() {
    let network = |dns: Value| {
        let text = json!({"cniVersion": "1.0.0", "name": "underlay", "dns": dns, "ipam": {"type": "spiderpool"}});
        Network::parse(text.to_string().as_bytes()).unwrap()
    };
    let dns = Dns { nameservers: vec!["10.0.0.2".into()], search: vec!["shop".into()], ..Dns::default() };
    let written = json!({"nameservers": ["10.0.0.2"], "search": ["shop"], "options": null});
    assert_eq!(Config::of(&network(written)).unwrap().dns, dns);
    let error = Config::of(&network(json!({"nameservers": "10.0.0.2"}))).unwrap_err();
    assert!(error.code == Code::InvalidConfig && error.msg.starts_with("dns of the network"), "{error}");
    assert_eq!(Config::for_teardown(&network(json!(7))).unwrap().dns, Dns::default());
}
