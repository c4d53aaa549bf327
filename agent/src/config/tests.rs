use spiderpool_wire::ipam::DetectOptions;

use super::*;

fn read(text: &str) -> Result<(Config, Vec<String>), ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    Config::read(file.path())
}

/// As the chart writes it with its own values.
const CHART: &str = r#"
ipamUnixSocketPath: /var/run/spidernet/spiderpool.sock
enableIPv4: true
enableIPv6: false
enableStatefulSet: true
enableKubevirtStaticIP: true
enableSpiderSubnet: true
enableAutoPoolForApplication: true
enableIPConflictDetection: true
enableGatewayDetection: false
enableValidatingResourcesDeletedWebhook: false
enableCleanOutdatedEndpoint: false
clusterSubnetDefaultFlexibleIPNumber: 1
tuneSysctlConfig: true
podResourceInject:
  enabled: false
  namespacesExclude: [kube-system, spiderpool]
  namespacesInclude: []
iaasNetworkProvider:
  serverUrl: ""
  httpRequestTimeout: "50s"
agent:
  networkResourcePlugin:
    enabled: false
    kubeletRootDir: /var/lib/kubelet
    devicePluginAffinity:
      nodeSelector: {matchLabels: {net: fast}}
    resourceAdvertisement:
      subENI: {rules: [{resourceName: spidernet.io/sub-eni, defaultMaxCount: 0, nodeSelector: {}}]}
      masterNIC: {rules: []}
"#;

#[test]
fn the_charts_file_is_read_and_what_is_not_served_is_named() {
    let (config, notes) = read(CHART).unwrap();
    assert_eq!(config.families(), [Family::V4]);
    assert!(config.enable_ip_conflict_detection && !config.enable_gateway_detection && config.tune_sysctl_config);
    assert_eq!(config.socket(), Path::new("/var/run/spidernet/spiderpool.sock"));
    let named: Vec<&str> = notes.iter().filter_map(|note| note.split(':').next()).collect();
    assert_eq!(named, ["enableAutoPoolForApplication"]);
}

#[test]
fn the_network_is_asked_as_often_and_as_long_as_is_said() {
    let options = |text: &str| DetectOptions::from(read(text).unwrap().0.detect_options);
    assert_eq!(options(""), DetectOptions::default());
    let asked = options("detectOptions: {retries: 5, interval: 0s, timeout: 1.5s}\n");
    let all = (asked.retries.get(), asked.interval_milliseconds, asked.timeout_milliseconds);
    assert_eq!(all, (5, 0, 1500));
}

#[test]
fn what_is_asked_of_others_is_named_when_it_is_switched_on() {
    let text = "iaasNetworkProvider: {serverUrl: 'http://iaas'}\nagent: {networkResourcePlugin: {enabled: true}}\n";
    let (_, notes) = read(text).unwrap();
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn unknown_keys_have_no_effect_and_are_named() {
    let (config, notes) = read("enableIPV4: false\n").unwrap();
    assert!(config.enable_ipv4);
    assert!(notes.len() == 1 && notes[0].starts_with("enableIPV4 is no key"), "{notes:?}");
}

#[test]
fn a_file_without_keys_is_the_default() {
    for text in ["", "# nothing\n", "{}\n"] {
        assert_eq!(read(text).unwrap(), (Config::default(), Vec::new()), "{text:?}");
    }
}

#[test]
fn mistakes_are_told_with_key_and_line() {
    let cases = [
        ("enableIPv4: true\nenableIPv6: perhaps\n", "enableIPv6", "line 2"),
        ("\n\ntuneSysctlConfig: [1]\n", "tuneSysctlConfig", "line 3"),
        ("conflictQuarantineSeconds: -1\n", "conflictQuarantineSeconds", "line 1"),
        ("statefulControllers:\n- {kind: StatefulSet}\n", "statefulControllers[0]", "apiVersion"),
        ("podResourceInject:\n  enabled: 3\n", "podResourceInject.enabled", "line 2"),
        ("detectOptions:\n  retries: 0\n", "detectOptions.retries", "line 2"),
        ("detectOptions:\n  timeout: 11s\n", "detectOptions.timeout", "more than 10s"),
        ("detectOptions:\n  timeout: 100\n", "detectOptions.timeout", "no duration"),
        ("iaasNetworkProvider:\n  httpRequestTimeout: soon\n", "httpRequestTimeout", "line 2"),
        ("iaasNetworkProvider:\n  httpRequestTimeout: 3m\n", "httpRequestTimeout", "between 0s and 100s"),
        (
            "agent: {networkResourcePlugin: {resourceAdvertisement: {subENI: {rules: [{defaultMaxCount: many}]}}}}\n",
            "rules[0].defaultMaxCount",
            "line 1",
        ),
        ("enableIPv4: true\n}\n", "", "line 2"),
    ];
    for (text, key, place) in cases {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(place), "{text:?}: {error}");
    }
    let error = read("enableIPv4: false\nenableIPv6: false\n").unwrap_err().to_string();
    assert!(error.contains("switch at least one on"), "{error}");
    let error = Config::read(Path::new("/nowhere/conf.yml")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/conf.yml") && error.contains("--config-path"), "{error}");
}
