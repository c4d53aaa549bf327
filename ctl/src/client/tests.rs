use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asks a server that reads one request and answers with these bytes; what it read and what came of it.
fn converse(answer: &'static str) -> (String, Result<Vec<u32>>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    runtime().block_on(async {
        let listener = UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let query = [("pod", "a b&c/d")];
        let answer = Agent::at(socket).get_with("/v1/x", &query).await;
        (server.await.unwrap(), answer)
    })
}

#[test]
fn a_question_and_its_answer() {
    let (request, answer) = converse("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[1,2]");
    assert_eq!(answer.unwrap(), [1, 2]);
    assert!(request.starts_with("GET /v1/x?pod=a+b%26c%2Fd HTTP/1.1\r\n"), "{request}");
}

#[test]
fn bad_answers_are_told_apart() {
    let cases = [
        ("HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\n\"no room.\"", "no room."),
        ("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", "does not know /v1/x?pod=a+b%26c%2Fd; it is older"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "in another shape"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1", "broke off the conversation"),
        ("", "broke off the conversation"),
    ];
    for (answer, complaint) in cases {
        let error = format!("{:#}", converse(answer).1.unwrap_err());
        assert!(error.contains(complaint), "{answer:?}: {error}");
    }
}

#[test]
fn an_absent_agent_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let ask = |socket: &Path| {
        let agent = Agent::at(socket.to_owned());
        format!("{:#}", runtime().block_on(agent.get::<Vec<u32>>("/v1/x")).unwrap_err())
    };
    let missing = ask(&socket);
    assert!(missing.contains("does not exist. Start spiderpool-agent, or name its socket with --socket"), "{missing}");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let stale = ask(&socket);
    assert!(stale.contains(&format!("no agent listens at {}: the socket is left over", socket.display())), "{stale}");
}
