//! Somebody with a browser, as far as a provider can tell: follows redirects, keeps cookies, fills
//! in the forms that it is shown.

use std::collections::BTreeMap;

use regex::Regex;
use reqwest::{Client, Response, header, redirect};
use url::Url;

const MOST_STEPS: usize = 20;

pub struct Browser {
    client: Client,
    /// By name and path.
    cookies: BTreeMap<(String, String), String>,
}

/// Where a walk ended.
pub enum Arrived {
    /// Sent to the address that was waited for.
    Back(Url),
    /// At a page without a form.
    Page(String),
}

impl Browser {
    pub fn new() -> Self {
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy();
        Self { client: client.build().unwrap(), cookies: BTreeMap::new() }
    }

    /// Goes on, signing in as `person` and agreeing to all, until it is sent to `home` or nothing is
    /// asked any more.
    pub async fn walk(&mut self, start: &Url, person: &str, answers: &[(&str, &str)], home: &str) -> Arrived {
        let mut fields = BTreeMap::from([("login", person), ("password", "any")]);
        fields.extend(answers.iter().copied());
        let (mut url, mut form) = (start.clone(), None);
        for _ in 0..MOST_STEPS {
            let response = self.ask(&url, form.take()).await;
            if let Some(to) = response.headers().get(header::LOCATION) {
                url = url.join(to.to_str().unwrap()).unwrap();
                if url.as_str().starts_with(home) {
                    return Arrived::Back(url);
                }
                continue;
            }
            let status = response.status();
            let page = response.text().await.unwrap();
            assert!(status.is_success(), "{status} from {url}: {page}");
            match filled(&page, &fields) {
                None => return Arrived::Page(page),
                Some((action, values)) => {
                    url = url.join(&action).unwrap();
                    form = Some(values);
                }
            }
        }
        panic!("the provider asks without end, at last at {url}");
    }

    async fn ask(&mut self, url: &Url, form: Option<Vec<(String, String)>>) -> Response {
        let request = match &form {
            Some(form) => self.client.post(url.clone()).form(form),
            None => self.client.get(url.clone()),
        };
        let sent = self.cookies.iter().filter(|((_, path), _)| url.path().starts_with(path.as_str()));
        let sent: Vec<String> = sent.map(|((name, _), value)| format!("{name}={value}")).collect();
        let response = request.header(header::COOKIE, sent.join("; ")).send().await.unwrap();
        for set in response.headers().get_all(header::SET_COOKIE) {
            self.keep(set.to_str().unwrap());
        }
        response
    }

    fn keep(&mut self, set: &str) {
        let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
        let path = set.split(';').find_map(|part| part.trim().strip_prefix("path=")).unwrap_or("/");
        let key = (name.to_owned(), path.to_owned());
        if value.is_empty() {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }
}

/// A page's form: where it goes, and its fields, those that are not hidden as a person fills them in.
fn filled(page: &str, fields: &BTreeMap<&str, &str>) -> Option<(String, Vec<(String, String)>)> {
    let attribute = |tag: &str, name: &str| {
        let found = Regex::new(&format!(r#"\b{name}="([^"]*)""#)).unwrap().captures(tag);
        found.map(|found| found[1].replace("&amp;", "&"))
    };
    let form = Regex::new(r"(?s)<form[^>]*>.*?</form>").unwrap().find(page)?.as_str();
    let inputs = Regex::new(r"<input[^>]*>").unwrap();
    let values = inputs.find_iter(form).filter_map(|input| {
        let name = attribute(input.as_str(), "name")?;
        let typed = fields.get(name.as_str()).map(|value| (*value).to_owned());
        let value = attribute(input.as_str(), "value").or(typed).unwrap_or_default();
        Some((name, value))
    });
    Some((attribute(form, "action")?, values.collect()))
}
