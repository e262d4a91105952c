//! When one topic filter covers another.

/// Whether every topic that `wanted` matches is matched by `granted` too. Both are valid filters.
pub fn covers(granted: &str, wanted: &str) -> bool {
    let mut wanted = wanted.split('/');
    for grant in granted.split('/') {
        if grant == "#" {
            return true;
        }
        match wanted.next() {
            Some("#") | None => return false,
            Some(_) if grant == "+" => {}
            Some(level) if level == grant => {}
            Some(_) => return false,
        }
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests {
    use fletchck_shared::topic::{Topic, TopicFilter};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn covering_is_by_level() {
        for (granted, wanted, want) in [
            ("#", "a/+/#", true),
            ("a/#", "a", true),
            ("a/#", "a/b/#", true),
            ("a/#", "+/b", false),
            ("a/#", "#", false),
            ("a/+", "a/b", true),
            ("a/+", "a/+", true),
            ("a/+", "a/#", false),
            ("a/b", "a/+", false),
            ("a/+/c", "a/b/c", true),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
        ] {
            assert_eq!(covers(granted, wanted), want, "{granted} {wanted}");
        }
    }

    proptest! {
        #[test]
        fn what_is_covered_is_matched(
            granted in "(a|b|[+])(/(a|b|[+])){0,2}(/#)?",
            wanted in "(a|b|[+])(/(a|b|[+])){0,2}(/#)?",
            topic in "(a|b|c)(/(a|b|c)){0,3}",
        ) {
            let [grant, want] = [&granted, &wanted]
                .map(|filter| TopicFilter::try_from(filter.as_str()).expect("made valid"));
            let topic = Topic::try_from(topic.as_str()).expect("made valid");
            if covers(&granted, &wanted) && want.matches(topic.as_str()) {
                prop_assert!(grant.matches(topic.as_str()));
            }
        }
    }
}
