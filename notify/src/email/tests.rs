use proptest::prelude::*;

use super::*;
use crate::{
    config::Channel,
    notice::{News, Outcome, samples},
};

fn config() -> Email {
    let value = json!({
        "kind": "email", "name": "mail", "on": ["run_stuck"], "server": "localhost:25", "tls": "none",
        "from": "Runbook <runbook@example.com>", "to": ["Team <team@example.com>", "b@example.com"],
    });
    match serde_json::from_value(value).unwrap() {
        Channel::Email(config) => config,
        other => panic!("{other:?}"),
    }
}

fn site() -> Site {
    Site::new("https://runbook.example.com").unwrap()
}

fn written(notice: &Notice) -> String {
    String::from_utf8(mail(&config(), "notice_0f", notice, Some(&site())).unwrap().formatted()).unwrap()
}

fn header(mail: &str, name: &str) -> String {
    let prefix = format!("{name}: ");
    mail.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
}

#[test]
fn every_notice_has_its_letter() {
    for (i, notice) in samples::all().iter().enumerate() {
        let name = format!("email-{i:02}-{}", notice.moment().word());
        let letter = letter(notice, Some(&site()));
        insta::assert_snapshot!(name, format!("Subject: {}\n\n{}", letter.subject, letter.text));
    }
}

#[test]
fn one_incident_is_one_thread_and_one_try_is_like_the_other() {
    let mails: Vec<String> = samples::all().iter().map(written).collect();
    let opened = header(&mails[0], "References");
    assert!(opened.starts_with("<thread-") && opened.ends_with("@example.com>"), "{opened}");
    for (i, mail) in mails.iter().enumerate() {
        assert_eq!(header(mail, "References") == opened, i != 4, "only the alert belongs to no incident");
        assert_eq!(header(mail, "In-Reply-To"), header(mail, "References"));
        assert_eq!(header(mail, "Message-ID"), "<notice_0f@example.com>");
        assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
        assert_eq!(header(mail, "Date"), "Sat, 21 Nov 2026 03:04:05 +0000");
        assert_eq!(*mail, written(&samples::all()[i]));
    }
}

#[test]
fn no_text_becomes_a_header() {
    let mut notice = samples::approval_answered(Outcome::Approved);
    if let News::ApprovalAnswered { approval, .. } = &mut notice.news {
        approval.change.as_mut().unwrap().summary = "x\r\nBcc: evil@example.com\r\n\r\nbody".to_owned();
    }
    let mail = written(&notice);
    let head = mail.split("\r\n\r\n").next().unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_breaks_a_mail(notice in samples::any_notice()) {
        let mail = written(&notice);
        prop_assert!(mail.len() <= 512 * 1024);
        let head = mail.split("\r\n\r\n").next().unwrap();
        // RFC 5322: lines of at most 998 characters, in ASCII; header names are ours.
        prop_assert!(mail.split("\r\n").all(|line| line.len() <= 998), "a line is too long");
        prop_assert!(head.is_ascii());
        let names = ["From", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
            "X-Auto-Response-Suppress", "To", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
        for line in head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
            let name = line.split(':').next().unwrap();
            prop_assert!(names.contains(&name), "{line}");
        }
    }
}
