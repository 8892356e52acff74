//! A server on loopback that stands for GitHub's API or for EC2's metadata service: each path has one answer, and every request is noted
//! with its token.
//!
//! GitHub's answers are those of GitHub's documentation of its REST API: "Get a pull request", "Get a workflow run", "Get a repository",
//! "Rate limits for the REST API", "Best practices: follow redirects".

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::stage::TestResult;

/// What the server does.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status, more headers, and a body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// A body without an end.
    Endless,
    /// Headers, and then nothing.
    Silence,
    /// The connection is closed.
    HangUp,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Say(status, Vec::new(), body.to_string())
    }
}

/// A request: path and header `Authorization`.
pub type Seen = (String, Option<String>);

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    seen: Mutex<Vec<Seen>>,
}

#[derive(Debug)]
pub struct Api {
    shared: Arc<Shared>,
    port: u16,
}

impl Api {
    /// Threads of it end with the test.
    pub fn start() -> TestResult<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&all);
                std::thread::spawn(move || serve(&shared, &connection));
            }
        });
        Ok(Self { shared, port })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn set(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), answer);
    }

    /// What was asked since the last time.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(shared: &Shared, connection: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut token = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("authorization") {
            token = Some(value.to_owned());
        }
    }
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), token));
    let answer = shared.answers.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    let answer =
        answer.unwrap_or_else(|| Answer::Say(404, Vec::new(), r#"{"message":"Not Found","status":"404"}"#.to_owned()));
    let mut writer = connection;
    match answer {
        Answer::Say(status, headers, body) => {
            let headers = headers.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\r\n");
            let head = format!(
                "HTTP/1.1 {status} -\r\n{headers}content-type: application/json; charset=utf-8\r\nconnection: close\r\n"
            );
            writer.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).ok()
        }
        Answer::Endless => {
            writer.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"body\": \"").ok()?;
            while writer.write_all(&[b'x'; 4096]).is_ok() {}
            None
        }
        Answer::Silence => {
            writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").ok()?;
            // Until the client gives up.
            let _ = reader.read(&mut [0]);
            None
        }
        Answer::HangUp => None,
    }
}
