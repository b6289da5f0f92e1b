//! The connection: its tokens, what they are good for, and when they were used last.

use std::fmt::Write;
use std::sync::PoisonError;

use jiff::Timestamp;

use super::markup::{E, Page, badge, time};
use super::session::Session;
use crate::relay::api::{TokenInfo, TokenScope};
use crate::relay::server::http::Server;

impl Server {
    /// The page.
    pub(super) fn connection_page(&self, session: &Session) -> Page {
        let now = Timestamp::now();
        let tokens: Vec<TokenInfo> = self.keeper.read(|book| {
            let mine = |info: &TokenInfo| info.connection == session.connection && info.is_live(now);
            book.tokens().into_iter().filter(mine).collect()
        });
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut main = format!("<h1>Connection {}</h1>\n", E(&session.connection));
        let bridges = tokens.iter().filter(|info| info.scopes.contains(&TokenScope::Bridge));
        let last = bridges.filter_map(|info| used.get(&info.id)).max();
        main.push_str("<p>");
        match last {
            // A bridge asks every half minute, or its question waits for as long.
            Some(at) if now.duration_since(*at).as_secs() < 90 => main.push_str(&badge("a bridge is there", "good")),
            Some(at) => drop(write!(main, "{} last heard of {}", badge("no bridge", "bad"), time(*at))),
            None => {
                main.push_str(&badge("no bridge", "bad"));
                main.push_str(" None has asked for runs since the server started.");
            }
        }
        main.push_str(
            "</p>\n<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Table\"><table>\n<caption class=\"visually-hidden\">Tokens</caption>\n<thead><tr>",
        );
        for heading in ["Token", "Good for", "Made", "Last used"] {
            let _ = write!(main, "<th scope=\"col\">{heading}</th>");
        }
        main.push_str("</tr></thead>\n<tbody>\n");
        for info in &tokens {
            let scopes: Vec<&str> = info.scopes.iter().map(|scope| scope.as_str()).collect();
            let last = used.get(&info.id).map_or("not since the server started".to_owned(), |at| time(*at));
            let _ = write!(
                main,
                "<tr><th scope=\"row\">{}<span class=\"about\">{}</span></th><td>{}</td><td>{}</td><td>{last}",
                E(&info.name),
                E(&info.id),
                E(scopes.join(", ")),
                time(info.created_at)
            );
            if let Some(end) = info.expires_at {
                let _ = write!(main, "<span class=\"about\">replaced; ends {}</span>", time(end));
            }
            main.push_str("</td></tr>\n");
        }
        main.push_str("</tbody></table></div>\n");
        Page { title: "Connection".into(), here: "Connection", main, live: None, reload: None }
    }
}
