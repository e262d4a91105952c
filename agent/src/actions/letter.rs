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
