//! The pages: who is let in and how, what forms do and what they refuse, and what a browser makes of it.

use std::path::{Path, PathBuf};

use hyper::{HeaderMap, Method};
use pupperware::relay::server::book::Rules;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::served::{Answer, Served, administrate, token};

/// Somebody with a browser.
struct Visitor<'s> {
    served: &'s Served,
    cookie: String,
}

impl Visitor<'_> {
    async fn get(&self, path: &str) -> Answer {
        self.served.raw(Method::GET, path, &[("cookie", &self.cookie)], "".into()).await
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        self.served.raw(Method::POST, path, &[("cookie", &self.cookie)], form.to_owned().into()).await
    }

    /// What a form of theirs brings with it.
    async fn csrf(&self, path: &str) -> String {
        let page = self.get(path).await.text;
        page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

fn cookie(headers: &HeaderMap) -> String {
    headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn signed_in<'s>(served: &'s Served, token: &str) -> Visitor<'s> {
    let answer = served.raw(Method::POST, "/sign-in", &[], format!("token={token}").into()).await;
    assert_eq!((answer.status, &answer.headers["location"]), (303, &"/".parse().unwrap()), "{}", answer.text);
    Visitor { served, cookie: cookie(&answer.headers) }
}

async fn ask(served: &Served, token: &str, body: Value) -> String {
    let asked = served.call(Method::POST, "/_puppet/runs", token, Some(body)).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    asked.body["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn signing_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let (run, bridge) = (token(folder.path(), "ci", &["run"]).await, token(folder.path(), "b", &["bridge"]).await);
    for path in ["/", "/connections", "/runs/8e659097-254a-4b27-bb93-88efea9a9f0e", "/live"] {
        let answer = served.raw(Method::GET, path, &[], "".into()).await;
        assert_eq!((answer.status, &answer.headers["location"]), (303, &"/sign-in".parse().unwrap()), "{path}");
    }
    let page = served.raw(Method::GET, "/sign-in", &[], "".into()).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for (token, why) in [("pwr_x", "opens nothing"), (bridge.as_str(), "neither the scope")] {
        let answer = served.raw(Method::POST, "/sign-in", &[], format!("token={token}").into()).await;
        assert!(answer.text.contains(why) && !answer.headers.contains_key("set-cookie"), "{}", answer.text);
    }
    let answer = served.raw(Method::POST, "/sign-in", &[], format!("token={run}").into()).await;
    let set = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(&run), "{set}");
    let visitor = Visitor { served: &served, cookie: cookie(&answer.headers) };
    assert!(visitor.get("/").await.text.contains("<h1>Runs</h1>"));
    assert!(visitor.get("/connections").await.text.contains("no bridge"));
    let form = format!("csrf={}", visitor.csrf("/").await);
    assert_eq!(visitor.post("/sign-out", "csrf=x").await.status, 403);
    assert_eq!(visitor.post("/sign-out", &form).await.status, 303);
    assert_eq!(visitor.get("/").await.status, 303, "signed out");

    let visitor = signed_in(&served, &run).await;
    let list = administrate(folder.path(), Method::GET, "/admin/tokens", Value::Null).await.body;
    let id = list["tokens"].as_array().unwrap().iter().find(|t| t["name"] == "ci").unwrap()["id"].clone();
    let revoke = format!("/admin/tokens/{}/revoke", id.as_str().unwrap());
    assert_eq!(administrate(folder.path(), Method::POST, &revoke, Value::Null).await.status, 200);
    assert_eq!(visitor.get("/").await.status, 303, "a session ends with its token");
    served.stop().await;
}

#[tokio::test]
async fn a_decision_comes_from_a_form_of_ours_and_from_who_may() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let (ci, boss) = (token(folder.path(), "ci", &["run"]).await, token(folder.path(), "boss", &["approve"]).await);
    let id = ask(&served, &ci, json!({"scope": {"nodes": ["a"]}, "approval": {"not_by_requester": true}})).await;
    let (page, approve) = (format!("/runs/{id}"), format!("/runs/{id}/approve"));
    let asker = signed_in(&served, &ci).await;
    assert!(!asker.get(&page).await.text.contains("<button class=\"main\">Approve"), "no button for who may not");
    let form = format!("csrf={}", asker.csrf(&page).await);
    assert_eq!(asker.post(&approve, &form).await.status, 403, "nor anything behind it");

    let visitor = signed_in(&served, &boss).await;
    assert!(visitor.get("/").await.text.contains("Somebody has to decide"));
    let csrf = visitor.csrf(&page).await;
    let form = format!("csrf={csrf}&reason=CHG%2B4711");
    for (headers, form) in [
        (vec![("cookie", visitor.cookie.as_str())], "reason=x"),
        (vec![("cookie", visitor.cookie.as_str())], "csrf=00000000000000000000000000000000"),
        (vec![("cookie", visitor.cookie.as_str()), ("origin", "https://evil.example")], form.as_str()),
        (vec![("cookie", visitor.cookie.as_str()), ("sec-fetch-site", "cross-site")], form.as_str()),
    ] {
        let answer = served.raw(Method::POST, &approve, &headers, form.to_owned().into()).await;
        assert_eq!(answer.status, 403, "{headers:?} {form}");
    }
    assert_eq!(served.raw(Method::GET, &approve, &[("cookie", &visitor.cookie)], "".into()).await.status, 404);
    let answer = visitor.post(&approve, &form).await;
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (303, page.as_str()));
    let run = served.call(Method::GET, &format!("/_puppet/runs/{id}"), &boss, None).await.body;
    let approval = &run["approval"];
    assert_eq!(
        (&approval["status"], &approval["decided_by"], &approval["reason"]),
        (&json!("approved"), &json!("boss"), &json!("CHG+4711"))
    );
    assert_eq!(visitor.post(&format!("/runs/{id}/cancel"), &form).await.status, 403, "who approves does not stop runs");
    served.stop().await;
}

#[tokio::test]
async fn a_link_signs_in_once_and_shows_its_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let ci = token(folder.path(), "ci", &["run"]).await;
    let mine = ask(&served, &ci, json!({"scope": {"nodes": ["a"]}, "approval": {}})).await;
    let other = ask(&served, &ci, json!({"scope": {"nodes": ["b"]}})).await;
    let new = json!({"connection": "default", "name": "Kim", "run": mine});
    let made = administrate(folder.path(), Method::POST, "/admin/links", new).await;
    let path = made.body["path"].as_str().unwrap().to_owned();
    served.stop().await;

    let served = Served::start(folder.path(), Rules::default()).await;
    for _ in 0..2 {
        let page = served.raw(Method::GET, &path, &[], "".into()).await;
        assert!(page.text.contains("<strong>Kim</strong>"), "looking at it does not use it: {}", page.text);
    }
    let used = served.raw(Method::POST, &path, &[], "".into()).await;
    assert_eq!((used.status, used.headers["location"].to_str().unwrap()), (303, format!("/runs/{mine}").as_str()));
    assert_eq!(served.raw(Method::POST, &path, &[], "".into()).await.status, 404, "used");
    let visitor = Visitor { served: &served, cookie: cookie(&used.headers) };
    assert_eq!(visitor.get("/").await.headers["location"].to_str().unwrap(), format!("/runs/{mine}"));
    for path in [format!("/runs/{other}"), format!("/runs/{other}/live")] {
        assert_eq!(visitor.get(&path).await.status, 404);
    }
    assert_eq!(visitor.get("/connections").await.status, 403);
    assert_eq!(visitor.get("/live").await.status, 403);
    let form = format!("csrf={}&reason=no", visitor.csrf(&format!("/runs/{mine}")).await);
    assert_eq!(visitor.post(&format!("/runs/{other}/deny"), &form).await.status, 404);
    assert_eq!(visitor.post(&format!("/runs/{mine}/deny"), &form).await.status, 303);
    let run = served.call(Method::GET, &format!("/_puppet/runs/{mine}"), &ci, None).await.body;
    assert_eq!((&run["state"]["outcome"], &run["approval"]["decided_by"]), (&json!("denied"), &json!("Kim")));
    served.stop().await;
}

/// A run with a preview, brought to where somebody has to decide; with texts that want to be more than text.
async fn previewed(served: &Served, ci: &str, bridge: &str) -> String {
    let hostile = "<script>alert(1)</script> \" onmouseover=\"x";
    let id = ask(
        served,
        ci,
        json!({"scope": {"nodes": ["web01", "web02"]}, "description": hostile, "approval": {"preview": true}}),
    )
    .await;
    let run = served.call(Method::GET, &format!("/_puppet/runs/{id}"), ci, None).await.body;
    let path = format!("/_puppet/runs/{}", run["approval"]["preview"].as_str().unwrap());
    assert_eq!(served.call(Method::POST, &format!("{path}/accept"), bridge, None).await.status, 202);
    let change = json!({"resource": "File[/etc/motd]", "property": "content", "from": "{sha256}aa", "to": "<b>bold</b>", "status": "pending"});
    let node = |name: &str| {
        json!({"certname": name, "status": "would_change", "report_hash": "ab", "report_url": "javascript:alert(1)",
        "message": "<img src=x onerror=alert(1)>", "changes": {"total": 1, "first": [change]}})
    };
    let done = json!({"status": "complete", "outcome": "finished", "nodes": [node("web01"), node("web02")],
        "progress": {"total": 2, "would_change": 2}});
    assert_eq!(served.call(Method::PUT, &format!("{path}/state"), bridge, Some(done)).await.status, 202);
    loop {
        let run = served.call(Method::GET, &format!("/_puppet/runs/{id}"), ci, None).await.body;
        if run["approval"]["status"] == "waiting" {
            return id;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn texts_of_others_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let (ci, bridge) =
        (token(folder.path(), "ci", &["run", "approve"]).await, token(folder.path(), "b", &["bridge"]).await);
    let id = previewed(&served, &ci, &bridge).await;
    let visitor = signed_in(&served, &ci).await;
    let page = visitor.get(&format!("/runs/{id}")).await.text;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("&lt;b&gt;bold&lt;/b&gt;"));
    let noop = page.split("href=\"/runs/").find(|part| !part.starts_with(&id) && part.contains('"')).unwrap();
    let preview = page.split("Noop run</dt><dd><a href=\"").nth(1).map_or(noop, |part| part.split('"').next().unwrap());
    let nodes = visitor.get(preview).await.text;
    assert!(nodes.contains("&lt;img src=x onerror=alert(1)&gt;"));
    for text in [visitor.get("/").await.text, page, nodes] {
        for bad in ["<script>", "<img", "javascript:", "onmouseover=\"", "<b>"] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
    }
    served.stop().await;
}

/// The browser, where there is one.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// Passes requests on with this cookie: a browser that is started for one page cannot sign in before.
async fn with_cookie(to: std::net::SocketAddr, cookie: String) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let cookie = cookie.clone();
            tokio::spawn(async move {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") {
                    if from.read(&mut byte).await.unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&head);
                let kept = text.trim_end().lines().filter(|line| !line.to_lowercase().starts_with("connection:"));
                let head = kept.collect::<Vec<_>>().join("\r\n");
                let mut onward = TcpStream::connect(to).await.unwrap();
                let head = format!("{head}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n");
                let _ = onward.write_all(head.as_bytes()).await;
                let _ = tokio::io::copy_bidirectional(&mut from, &mut onward).await;
            });
        }
    });
    address
}

/// What the browser has made of a page, after its scripts ran.
async fn dom(browser: &Path, url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(120), output).await.expect("a browser that ends");
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_them() {
    let Some(browser) = chromium() else {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: there is no Chromium here\n");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let (ci, bridge) =
        (token(folder.path(), "ci", &["run", "approve"]).await, token(folder.path(), "b", &["bridge"]).await);
    let id = previewed(&served, &ci, &bridge).await;
    let sign_in = dom(&browser, &format!("http://{}/", served.address)).await;
    assert!(sign_in.contains("type=\"password\"") && sign_in.contains("<h1>Sign in</h1>"), "{sign_in}");
    let visitor = signed_in(&served, &ci).await;
    let address = with_cookie(served.address, visitor.cookie.clone()).await;
    let list = dom(&browser, &format!("http://{address}/")).await;
    assert!(list.contains("Somebody has to decide") && list.contains("needs approval"), "{list}");
    let run = dom(&browser, &format!("http://{address}/runs/{id}")).await;
    assert!(run.contains("Shall this run be carried out?") && run.contains("on 2 nodes"), "{run}");
    assert!(run.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{run}");
    served.stop().await;
}
