use super::*;

const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

fn wanted(address: &str, pool: &str) -> Wanted {
    Wanted { address: address.parse().unwrap(), pool: pool.into(), conflict: true, gateway: None }
}

fn judged(findings: [Finding; 2]) -> Result<(), Objection> {
    let wanted = [wanted("10.6.0.5", "p4"), wanted("fd00::5", "p6")];
    let outcomes = [0, 1].map(|n| Outcome { address: wanted[n].address, finding: findings[n] });
    judge("eth0", &wanted, &outcomes)
}

#[test]
fn all_clear_is_no_objection() {
    judged([Finding::Clear { gateway: Some(OTHER) }, Finding::Clear { gateway: None }]).unwrap();
}

#[test]
fn every_conflict_is_named_and_reported() {
    let objection = judged([Finding::Conflict { holder: OTHER }; 2]).unwrap_err();
    assert_eq!(objection.error.code, Code::AddressConflict);
    assert_eq!(
        objection.error.msg,
        "ip conflict on eth0: 10.6.0.5 (pool p4) is in use by 02:00:00:00:00:09, \
         fd00::5 (pool p6) is in use by 02:00:00:00:00:09"
    );
    let reported: Vec<_> = objection.conflicts.iter().map(|one| (one.address.to_string(), one.mac.as_str())).collect();
    assert_eq!(reported, [("10.6.0.5".into(), "02:00:00:00:00:09"), ("fd00::5".into(), "02:00:00:00:00:09")]);
}

#[test]
fn a_conflict_weighs_more_than_a_gateway() {
    let gateway = "10.6.0.1".parse().unwrap();
    let objection = judged([Finding::GatewayUnreachable { gateway }, Finding::Conflict { holder: OTHER }]).unwrap_err();
    assert_eq!(objection.error.msg, "ip conflict on eth0: fd00::5 (pool p6) is in use by 02:00:00:00:00:09");
}

#[test]
fn an_unreachable_gateway_puts_nothing_aside() {
    let gateway = "10.6.0.1".parse().unwrap();
    let objection = judged([Finding::GatewayUnreachable { gateway }, Finding::Clear { gateway: None }]).unwrap_err();
    assert_eq!(objection.error.code, Code::GatewayUnreachable);
    assert_eq!(objection.error.msg, "gateway 10.6.0.1 is unreachable");
    assert!(objection.error.details.contains("when 10.6.0.5 asked; is spec.gateway of pool p4 right"));
    assert!(objection.conflicts.is_empty());
}
