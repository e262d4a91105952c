//! One message: what is told at once, of one check or of many.

use chrono::{DateTime, Utc};
use fletchck_shared::{CheckName, Severity, policy::News};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use super::{Notice, web};

/// One message to one group of recipients: what is told at once, of one check or of many.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// Name of the site.
    pub site: String,
    /// What is told of each check, in the order it came to it. Never empty.
    pub entries: Vec<Entry>,
    /// Made of what is told and to whom, 32 hex digits: a letter that is sent again after a crash has it again.
    pub id: String,
    /// Address of the pages, without a slash at its end, where there are any.
    pub link: Option<String>,
}

/// What a letter tells of one check.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The last of it: how things stand.
    pub notice: Notice,
    /// What came before it and was told to nobody yet, oldest first: the failure that a recovery ends, for example.
    pub earlier: Vec<Notice>,
}

impl Letter {
    /// A letter of these notices, oldest first, to this group of this action. Of each check the last is told, with all
    /// that came before it. `None` for no notices.
    pub fn of(
        notices: impl IntoIterator<Item = Notice>,
        to: &str,
        link: Option<&str>,
    ) -> Option<Self> {
        let mut id = Sha256::new();
        let mut entries: IndexMap<CheckName, Entry> = IndexMap::new();
        for notice in notices {
            for part in [
                to,
                &notice.site,
                notice.check.as_str(),
                &format!("{:?}", notice.news),
                &notice.at.timestamp_micros().to_string(),
            ] {
                id.update(part.len().to_be_bytes());
                id.update(part);
            }
            match entries.get_mut(&notice.check) {
                Some(entry) => {
                    let before = std::mem::replace(&mut entry.notice, notice);
                    entry.earlier.push(before);
                }
                None => {
                    let check = notice.check.clone();
                    entries.insert(check, Entry { notice, earlier: Vec::new() });
                }
            }
        }
        let site = entries.first()?.1.notice.site.clone();
        Some(Self {
            site,
            entries: entries.into_values().collect(),
            id: short(id),
            link: link.map(|link| link.trim_end_matches('/').to_owned()),
        })
    }

    /// Names the incident, where it is only one, so that all that is told of it can be shown together: 32 hex digits.
    pub fn incident(&self) -> Option<String> {
        let [Entry { notice, .. }] = self.entries.as_slice() else { return None };
        let since = notice.since.unwrap_or(notice.at).timestamp_micros();
        let mut id = Sha256::new();
        id.update(&notice.site);
        id.update([0]);
        id.update(notice.check.as_str());
        id.update([0]);
        id.update(since.to_be_bytes());
        Some(short(id))
    }

    /// Address of what the letter is about, where there are pages: of its check, or of all.
    pub fn page(&self) -> Option<String> {
        match self.entries.as_slice() {
            [Entry { notice, .. }] => self.page_of(notice),
            _ => self.link.clone(),
        }
    }

    /// Address of the page of a check, where there are pages.
    pub fn page_of(&self, notice: &Notice) -> Option<String> {
        let link = self.link.as_deref()?;
        if notice.news == News::Test {
            return Some(link.to_owned());
        }
        Some(format!("{link}/check/{}", web::quoted(notice.check.as_str())))
    }

    /// The gravest of what is told.
    pub fn severity(&self) -> Severity {
        self.entries.iter().map(|entry| entry.notice.severity).max().unwrap_or_default()
    }
}

impl Entry {
    /// When it came to the first thing that this entry tells.
    pub fn began(&self) -> DateTime<Utc> {
        self.earlier.first().unwrap_or(&self.notice).at
    }

    /// Whether it failed and is well again, and nobody was told of the failure.
    pub fn over(&self) -> bool {
        self.notice.severity == Severity::Ok
            && self.earlier.iter().any(|notice| notice.news == News::Failed)
    }
}

pub(super) fn short(id: Sha256) -> String {
    id.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::testing::notice;

    fn of(to: &str, notices: &[Notice]) -> Letter {
        Letter::of(notices.iter().cloned(), to, None).expect("a notice")
    }

    #[test]
    fn a_letter_has_its_number_again_and_no_other_has_it() {
        let (failed, recovered) = (notice("a", News::Failed), notice("a", News::Recovered));
        let other = notice("b", News::Failed);
        let mut later = failed.clone();
        later.at += chrono::TimeDelta::microseconds(1);
        let mut elsewhere = failed.clone();
        elsewhere.site = "work".into();
        let letters = [
            of("mail/ann", std::slice::from_ref(&failed)),
            of("mail/bob", std::slice::from_ref(&failed)),
            of("mail/ann", std::slice::from_ref(&recovered)),
            of("mail/ann", std::slice::from_ref(&other)),
            of("mail/ann", &[later]),
            of("mail/ann", &[elsewhere]),
            of("mail/ann", &[failed.clone(), recovered.clone()]),
            of("mail/ann", &[failed.clone(), other]),
        ];
        for (place, letter) in letters.iter().enumerate() {
            assert!(letter.id.len() == 32 && letter.id.bytes().all(|b| b.is_ascii_hexdigit()));
            assert!(letters[..place].iter().all(|before| before.id != letter.id), "{place}");
        }
        // What a store has kept says the same.
        let kept: Notice =
            serde_json::from_str(&serde_json::to_string(&failed).expect("JSON")).expect("a notice");
        assert_eq!(of("mail/ann", &[kept]), letters[0]);
        assert_eq!(letters[0].id, "b0391a5cc19c8594a3d079c439d2bb2f");
    }

    #[test]
    fn all_of_one_incident_is_known_by_it() {
        let (failed, recovered) = (notice("a", News::Failed), notice("a", News::Recovered));
        let incident = of("x", std::slice::from_ref(&failed)).incident();
        assert!(incident.is_some());
        assert_eq!(of("y", &[recovered]).incident(), incident);
        let mut again = failed.clone();
        again.since = again.since.map(|since| since + chrono::TimeDelta::hours(5));
        assert_ne!(of("x", std::slice::from_ref(&again)).incident(), incident);
        assert_eq!(failed.subject(), again.subject());
        assert_ne!(notice("a", News::Test).subject(), failed.subject());
        let other = notice("b", News::Failed);
        assert_eq!(of("x", &[failed, other]).incident(), None);
    }

    #[test]
    fn what_was_not_told_of_a_check_stands_before_how_it_is_now() {
        let letter = of(
            "x",
            &[
                notice("a", News::Failed),
                notice("b", News::Failed),
                notice("a", News::Reminder),
                notice("a", News::Recovered),
            ],
        );
        let [a, b] = letter.entries.as_slice() else { panic!("two checks") };
        assert_eq!((a.notice.news, a.earlier.len(), a.over()), (News::Recovered, 2, true));
        assert_eq!((b.notice.news, b.earlier.len(), b.over()), (News::Failed, 0, false));
        assert_eq!(a.began(), a.earlier[0].at);
        assert_eq!(letter.severity(), Severity::Critical);
        assert!(Letter::of([], "x", None).is_none());
    }

    #[test]
    fn a_link_leads_to_what_the_letter_is_about() {
        let of =
            |notices: Vec<Notice>| Letter::of(notices, "x", Some("https://hub/")).expect("one");
        let one = of(vec![notice("nas/größe", News::Failed)]);
        assert_eq!(one.page().as_deref(), Some("https://hub/check/nas%2Fgr%C3%B6%C3%9Fe"));
        let two = of(vec![notice("a", News::Failed), notice("b", News::Failed)]);
        assert_eq!(two.page().as_deref(), Some("https://hub"));
        assert_eq!(of(vec![notice("test", News::Test)]).page().as_deref(), Some("https://hub"));
    }
}
