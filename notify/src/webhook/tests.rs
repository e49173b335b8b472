use proptest::prelude::*;

use super::*;
use crate::notice::samples;

fn site() -> Site {
    Site::new("https://runbook.example.com").unwrap()
}

#[test]
fn every_notice_has_its_body() {
    for (i, notice) in samples::all().iter().enumerate() {
        let name = format!("webhook-{i:02}-{}", notice.moment().word());
        insta::assert_json_snapshot!(name, body(notice, Some(&site())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_body_is_endless(notice in samples::any_notice()) {
        let body = body(&notice, Some(&site()));
        prop_assert!(body.to_string().len() <= 1024 * 1024);
        for field in ["type", "at", "subject", "text", "simulated", "data"] {
            prop_assert!(!body[field].is_null(), "{field}");
        }
    }
}
