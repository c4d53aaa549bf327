use http::HeaderValue;
use serde_json::json;

use super::*;

fn answered(code: u16, retry_after: Option<&str>, body: &str) -> Failure {
    let mut headers = HeaderMap::new();
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_str(seconds).unwrap());
    }
    Failure::answered(StatusCode::from_u16(code).unwrap(), &headers, body.as_bytes())
}

fn status(code: u16, reason: &str, message: &str, details: serde_json::Value) -> String {
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, "details": details})
        .to_string()
}

#[test]
fn an_answer_means_what_the_engine_can_do_about_it() {
    let seconds = |after| StoreError::Throttled { after: Duration::from_secs(after) };
    let unknown = |words: &str| StoreError::Unknown(words.to_owned());
    let exists = status(409, "AlreadyExists", "x exists", json!({"name": "x"}));
    let conflict = status(409, "Conflict", "try again", json!({"name": "x"}));
    let absent = status(404, "NotFound", "x not found", json!({"name": "x", "kind": "k"}));
    let ending = json!({"name": "x", "causes": [{"reason": "NamespaceTerminating", "message": "ends"}]});
    let ending = status(403, "Forbidden", "forbidden", ending);
    let forbidden = status(403, "Forbidden", "you may not", json!({"name": "x"}));
    let cases = [
        (answered(409, None, &exists), StoreError::Exists("it".to_owned())),
        (answered(409, None, &conflict), StoreError::Throttled { after: CONFLICT_PAUSE }),
        (answered(404, None, &absent), StoreError::Gone("it".to_owned())),
        (answered(403, None, &ending), StoreError::Gone("the namespace of it".to_owned())),
        (answered(403, None, &forbidden), StoreError::Refused("it: you may not (403)".to_owned())),
        (answered(429, Some("3"), "Too many requests, please try again later."), seconds(3)),
        (answered(429, None, ""), seconds(1)),
        (answered(503, Some("2"), ""), seconds(2)),
        (answered(503, None, "no backend"), unknown("no backend (503)")),
        (answered(504, None, "late"), unknown("late (504)")),
        (answered(500, None, "oh"), unknown("oh (500)")),
    ];
    for (failure, expected) in cases {
        assert_eq!(failure.about("it"), expected);
    }
    let no_such_kind = answered(404, None, "404 page not found").about("it").to_string();
    assert!(no_such_kind.contains("install the custom resource definitions"), "{no_such_kind}");
}

#[test]
fn a_failed_test_is_told_from_a_refusal_by_the_schema() {
    let test = status(422, "", "the server rejected our request due to an error in our request", json!({}));
    assert!(answered(422, None, &test).is_failed_test());
    let cause = json!({"reason": "FieldValueInvalid", "field": "spec.block", "message": "must be a string"});
    let schema = status(422, "Invalid", "SpiderIPBlock \"b\" is invalid", json!({"name": "b", "causes": [cause]}));
    let refused = answered(422, None, &schema);
    assert!(!refused.is_failed_test());
    let words = "it: SpiderIPBlock \"b\" is invalid (422): must be a string";
    assert_eq!(refused.about("it"), StoreError::Refused(words.to_owned()));
    let webhook = status(422, "", "admission webhook \"w\" denied the request", json!({}));
    assert!(!answered(422, None, &webhook).is_failed_test());
}

async fn ask(server: std::net::SocketAddr, timeout: Duration) -> StoreError {
    let config = kube::Config::new(format!("http://{server}").parse().unwrap());
    let client = crate::kube::connect(config).await.unwrap();
    let mut requests = Requests::new(client);
    requests.timeout = timeout;
    requests
        .read::<serde_json::Value>(kube::core::Request::new("/x").list(&Default::default()))
        .await
        .unwrap_err()
        .about("it")
}

#[tokio::test]
async fn no_answer_is_told_from_no_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = ask(address, Duration::from_millis(200)).await;
    assert!(matches!(&silent, StoreError::Unknown(words) if words == "no answer within 200ms"), "{silent:?}");
    let cut = tokio::spawn(async move {
        // The one that was given up, and the one that is cut.
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
    });
    let lost = ask(address, TIMEOUT).await;
    assert!(matches!(lost, StoreError::Unknown(_)), "{lost:?}");
    cut.await.unwrap();
    let nobody = ask(address, TIMEOUT).await;
    assert!(matches!(nobody, StoreError::Unreachable(_)), "{nobody:?}");
}
