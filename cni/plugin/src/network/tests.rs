use serde_json::json;

use super::*;

#[track_caller]
fn refused(stdin: &str, code: Code, msg: &str) {
    let error = Network::parse(stdin.as_bytes()).unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (code, msg), "{stdin}");
    assert_ne!(error.details, "");
}

fn network(fields: Value) -> Network {
    let mut document = json!({"cniVersion": "1.1.0", "name": "underlay"});
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Network::parse(document.to_string().as_bytes()).unwrap()
}

#[test]
fn every_version_of_ours_is_taken() {
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let stdin = json!({"cniVersion": version, "name": "a.b_c-1", "unknown": 1}).to_string();
        assert_eq!(Network::parse(stdin.as_bytes()).unwrap().version.as_str(), version);
    }
}

#[test]
fn what_is_wrong_is_named() {
    use Code::{IncompatibleVersion, InvalidConfig, Undecodable};
    refused(" \n", Undecodable, "there is no network configuration on stdin");
    refused(
        r#"{"cniVersion": }"#,
        Undecodable,
        "the network configuration on stdin is not a JSON object: expected value at line 1 column 16",
    );
    refused(
        "[]",
        Undecodable,
        "the network configuration on stdin is not a JSON object: invalid type: sequence, expected a map at line 1 column 0",
    );
    refused(r#"{"name": "a"}"#, IncompatibleVersion, "the network configuration has no cniVersion");
    refused(r#"{"cniVersion": "0.2.0", "name": "a"}"#, IncompatibleVersion, r#"CNI version "0.2.0" is not supported"#);
    refused(
        r#"{"cniVersion": 1, "name": "a"}"#,
        InvalidConfig,
        "cniVersion of the network configuration is 1, not a text",
    );
    refused(r#"{"cniVersion": "1.0.0"}"#, InvalidConfig, "the network configuration has no name");
    refused(
        r#"{"cniVersion": "1.0.0", "name": "-a"}"#,
        InvalidConfig,
        r#"the network configuration's name is "-a"; it must be a letter or digit, then letters, digits, '_', '.' and '-'"#,
    );
}

#[test]
fn sections_say_what_is_wrong_in_them() {
    #[derive(Deserialize, Debug, PartialEq)]
    struct Section {
        count: u8,
    }
    let network = network(json!({"good": {"count": 1}, "bad": {"count": "one"}, "null": null}));
    assert_eq!(network.section("good").unwrap(), Some(Section { count: 1 }));
    assert_eq!(network.section::<Section>("null").unwrap(), None);
    assert_eq!(network.section::<Section>("missing").unwrap(), None);
    let error = network.section::<Section>("bad").unwrap_err();
    let msg = r#"bad of the network configuration "underlay": invalid type: string "one", expected u8"#;
    assert_eq!((error.code, error.msg.as_str()), (Code::InvalidConfig, msg));
}

#[test]
fn addresses_of_a_previous_result_are_told_apart_by_interface() {
    let interfaces = json!([{"name": "br0"}, {"name": "eth0", "sandbox": "/var/run/netns/a"}]);
    let previous = network(json!({"prevResult": {
        "interfaces": interfaces,
        "ips": [
            {"address": "10.6.0.5/16", "interface": 1, "gateway": "10.6.0.1"},
            {"address": "10.7.0.5/16", "interface": 0},
            {"address": "10.8.0.5/16", "interface": 7},
            {"address": "10.9.0.5/16", "interface": -1},
            {"version": "6", "address": "fd00::5/64"},
        ],
    }}));
    let addresses = previous.previous_result().unwrap().addresses_of("eth0");
    assert_eq!(addresses.iter().map(Cidr::to_string).collect::<Vec<_>>(), ["10.6.0.5/16", "fd00::5/64"]);
    let empty = network(json!({"prevResult": {"ips": null}}));
    assert_eq!(empty.previous_result().unwrap().addresses_of("eth0"), []);
    let none = network(json!({})).previous_result().unwrap_err();
    assert_eq!((none.code, none.msg.as_str()), (Code::InvalidConfig, "the network configuration has no prevResult"));
}

#[test]
fn a_missing_list_of_attachments_is_not_an_empty_one() {
    let one = json!([{"containerID": "abc", "ifname": "eth0"}]);
    let expected = [Attachment { container_id: "abc".into(), if_name: "eth0".into() }];
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        assert_eq!(network(json!({key: one})).valid_attachments().unwrap(), expected);
        assert_eq!(network(json!({key: null})).valid_attachments().unwrap(), []);
    }
    let missing = network(json!({})).valid_attachments().unwrap_err();
    assert_eq!(missing.msg, "the network configuration has no cni.dev/valid-attachments");
    assert_eq!(missing.code, Code::InvalidConfig);
}
