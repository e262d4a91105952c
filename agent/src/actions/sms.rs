//! `sms`: a short message by the Cloudkinnekt gateway, as in the original.

use std::sync::Arc;

use async_trait::async_trait;
use fletchck_shared::time;

use super::{
    Action, ActionKind, Letter, Notice, TellError, To,
    cut::{chars, cut},
    tone::Tone,
    web::{self, Request, Service},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `sms` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "sms",
    summary: "a short message by the Cloudkinnekt gateway, as in the original",
    options: &[
        Opt::new("recipients", Shape::Texts, "required", "telephone numbers"),
        Opt::secret("apikey", "key of the gateway, which refuses whoever has none"),
        Opt::text("sender", "dedicated", "originator of the message"),
        Opt::new("url", Shape::Secret, URL, "address of the gateway"),
        TIMEOUT,
        web::CA_FILE,
        Opt::text("site", "none", "name that messages begin with"),
        Opt::text("icon", "🐶", "sign behind the name of the site"),
    ],
    gathers: true,
    build,
};

const URL: &str = "https://sms-api.cloudkinnekt.au/smsp-in";

/// As long as in the original.
const TIMEOUT: Opt =
    Opt::seconds("timeout", "5", "time within which the gateway must have answered, in seconds");

/// Checks that one message names; it counts the others.
const SHOWN: usize = 5;

/// Most members of a sequence that are named, and longest sentence, in characters: each 67 of them are paid for.
const MEMBERS: usize = 20;
const SENTENCE: usize = 300;

struct Sms {
    service: Service,
    url: String,
    key: Option<String>,
    sender: String,
    recipients: String,
    site: Option<String>,
    icon: String,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let service = Service::within(options, 5);
    let url = web::address(options, "url", Some(URL));
    let recipients = options.texts("recipients").filter(|list| !list.is_empty());
    if recipients.is_none() {
        options.fault(
            "recipients",
            "there is nobody to tell",
            "telephone numbers, as in [\"+61400000000\"]",
        );
    }
    let key = web::key(options, "apikey");
    if key.is_none() {
        options.warning("apikey", "it is missing", "the key of the gateway, or `apikey_file`");
    }
    let text = |options: &mut Options<'_>, name| {
        options.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (site, icon, sender) =
        (text(options, "site"), text(options, "icon"), text(options, "sender"));
    Some(Arc::new(Sms {
        service,
        url: url?,
        key,
        sender: sender.unwrap_or_else(|| "dedicated".into()),
        recipients: recipients?.join(",").replace('+', ""),
        site,
        icon: icon.unwrap_or_else(|| "🐶".into()),
    }))
}

#[async_trait]
impl Action for Sms {
    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        let text = self.text(letter);
        let fields = [
            ("originator", self.sender.as_str()),
            ("mobile_number", &self.recipients),
            ("concatenated", "true"),
            ("utf", "true"),
            ("text", &text),
        ];
        let request = Request::form(&self.url, &fields);
        let request = match &self.key {
            Some(key) => request.bearer(key),
            None => request,
        };
        self.service.send(request).await
    }
}

impl Sms {
    /// As the original's, for one check: site, icon and a sign, then `NAME: STATE`, then what fails, then the time. Of
    /// more than one, a line each.
    fn text(&self, letter: &Letter) -> String {
        let site = self.site.as_ref().map(|site| format!("{site} ")).unwrap_or_default();
        let sign = if letter.tone() == Tone::Good { "👍" } else { "💬" };
        let mut text = format!("{site}{}{sign}", self.icon);
        for entry in letter.entries.iter().take(SHOWN) {
            let notice = &entry.notice;
            text.push_str(&format!("\n{}: {}", notice.check, notice.word()));
            if entry.over() {
                text.push_str(&format!(" (FAIL {})", time::people(entry.began(), notice.zone)));
            }
            text.push_str(&summary(notice));
        }
        if letter.entries.len() > SHOWN {
            text.push_str(&format!("\nand {} more", letter.entries.len() - SHOWN));
        }
        if let Some(entry) = letter.entries.last() {
            text.push_str(&format!("\n{}", time::people(entry.notice.at, entry.notice.zone)));
        }
        text
    }
}

/// What fails: the members of a sequence, each with a sign and its level, or the sentence of the check itself. Of a check
/// that is well there is nothing to say.
fn summary(notice: &Notice) -> String {
    if Tone::of(notice) == Tone::Good {
        return String::new();
    }
    if notice.members.is_empty() {
        return format!("\n{}", cut(&notice.text, SENTENCE, chars));
    }
    let members = notice.members.iter().take(MEMBERS).map(|member| {
        let sign = if member.soft.is_some() { "⛔" } else { "⚠️" };
        let level = member.level.as_deref().map(str::trim).unwrap_or_default();
        format!("\n {} {sign}{level}", member.name)
    });
    members.collect()
}

#[cfg(test)]
mod tests {
    use fletchck_shared::policy::News;
    use serde_json::json;

    use super::*;
    use crate::actions::testing::{letter, notice};

    fn text(letter: &Letter) -> String {
        let sms = Sms {
            service: Options::read(
                json!({}).as_object().expect("options"),
                KIND.options,
                |options| Some(Service::of(options)),
            )
            .0
            .expect("a way"),
            url: URL.into(),
            key: None,
            sender: "dedicated".into(),
            recipients: "1".into(),
            site: Some("Home".into()),
            icon: "🐕".into(),
        };
        sms.text(letter)
    }

    #[test]
    fn more_than_one_check_fits_into_a_message() {
        let folded = [notice("web", News::Failed), notice("web", News::Recovered)];
        insta::assert_snapshot!(text(&letter(folded)), @r#"
        Home 🐕👍
        web: PASS (FAIL 26 Nov 2026 12:00 UTC)
        26 Nov 2026 14:00 UTC
        "#);
        let mut names = ["a", "b", "c", "d", "e", "f", "g"].map(|name| notice(name, News::Failed));
        names[1] = notice("b", News::Recovered);
        insta::assert_snapshot!(text(&letter(names)), @r#"
        Home 🐕💬
        a: FAIL
        no answer within 10 s
        b: PASS
        c: FAIL
        no answer within 10 s
        d: FAIL
        no answer within 10 s
        e: FAIL
        no answer within 10 s
        and 2 more
        26 Nov 2026 12:00 UTC
        "#);
        let mut long = notice("a", News::Failed);
        long.text = "x".repeat(10_000);
        assert!(text(&letter([long])).chars().count() < 400);
    }
}
