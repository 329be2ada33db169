//! The addresses of a pool: those of the settings, those the pool told of, and which of them was the master last.
//!
//! Only the master answers; every other member names it (`HOST_IS_SLAVE`, recorded in the Xen API's error list),
//! perhaps by an address that cannot be reached from here. So a search asks one member after the other, and goes where
//! it is sent in between. Pure: who asks is `session.rs`.

use std::collections::{BTreeSet, VecDeque};

use reqwest::Url;

use super::fault::Failure;
use crate::provider::ErrorKind;

/// Most members asked in one search; a pool has at most 64.
const MOST: usize = 96;

/// The members as far as they are known.
#[derive(Debug)]
pub(super) struct Members {
    given: Vec<Url>,
    learned: Vec<Url>,
    master: Option<Url>,
    /// The pool's uuid, once it answered.
    pub pool: Option<String>,
}

impl Members {
    /// From the settings.
    pub(super) fn new(urls: &[String]) -> Result<Self, Failure> {
        let parse = |text: &String| {
            Url::parse(text)
                .map_err(|error| Failure::because(ErrorKind::Unexpected, format!("a url in the settings: {error}")))
        };
        let given = urls.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if given.is_empty() {
            return Err(Failure::because(ErrorKind::Unsupported, "the settings give it no url"));
        }
        Ok(Self { given, learned: Vec::new(), master: None, pool: None })
    }

    /// Notes who answered as the master.
    pub(super) fn found(&mut self, master: &Url, pool: &str) {
        self.master = Some(master.clone());
        self.pool = Some(pool.to_owned());
    }

    /// Notes the addresses of the pool's hosts.
    pub(super) fn learn<'a>(&mut self, addresses: impl Iterator<Item = &'a str>) {
        let like = &self.given[0];
        self.learned = addresses.filter_map(|address| at(address, like)).collect();
    }

    /// Is this the address of a member?
    pub(super) fn includes(&self, url: &Url) -> bool {
        let same = |known: &Url| known.host_str() == url.host_str();
        self.given.iter().chain(&self.learned).chain(&self.master).any(same)
    }

    /// A search for the master.
    pub(super) fn search(&self) -> Search {
        let queue = self.master.iter().chain(&self.given).chain(&self.learned).cloned().collect();
        Search { queue, asked: BTreeSet::new(), failures: Vec::new() }
    }
}

/// One member after the other.
#[derive(Debug)]
pub(super) struct Search {
    queue: VecDeque<Url>,
    asked: BTreeSet<String>,
    failures: Vec<(Url, Failure)>,
}

impl Search {
    /// Whom to ask now.
    pub(super) fn next(&mut self) -> Option<Url> {
        while let Some(url) = self.queue.pop_front() {
            if self.asked.len() < MOST && self.asked.insert(place(&url)) {
                return Some(url);
            }
        }
        None
    }

    /// That one was not it: asks next where it points to, if it points anywhere.
    pub(super) fn refused(&mut self, url: Url, failure: Failure) {
        if let Failure::Fault(fault) = &failure
            && fault.code == "HOST_IS_SLAVE"
            && let Some(master) = fault.data.first().and_then(|address| at(address, &url))
        {
            self.queue.push_front(master);
        }
        self.failures.push((url, failure));
    }

    /// Nobody was: the most telling reason. A wrong certificate or a right that lacks is a person's to mend; of those
    /// that only point on or do not answer, all are told.
    pub(super) fn nobody(self) -> Failure {
        let rank = |failure: &Failure| match failure {
            Failure::Certificate(_) => 0,
            Failure::Because(..) => 1,
            Failure::Fault(fault) if fault.code != "HOST_IS_SLAVE" => 2,
            Failure::Fault(_) | Failure::NotSent(_) | Failure::Lost(..) => 3,
        };
        let told: Vec<String> =
            self.failures.iter().map(|(url, failure)| format!("{}: {failure}", place(url))).collect();
        match self.failures.into_iter().map(|(_, failure)| failure).min_by_key(rank) {
            Some(failure @ Failure::NotSent(_)) if told.len() == 1 => failure,
            Some(failure) if rank(&failure) < 3 => failure,
            Some(_) | None => Failure::because(
                ErrorKind::Unreachable,
                format!("no member of the pool answers as its master ({})", told.join("; ")),
            ),
        }
    }
}

/// Host and port.
fn place(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// The URL of a member's address, with the port of another member unless it has its own. An address may be IPv6.
fn at(address: &str, like: &Url) -> Option<Url> {
    let address = address.trim();
    let mut url = like.clone();
    url.set_path("");
    if let Ok(ip) = address.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        url.set_ip_host(ip).ok()?;
        return Some(url);
    }
    let named = Url::parse(&format!("https://{address}")).ok()?;
    url.set_host(Some(named.host_str()?)).ok()?;
    if let Some(port) = named.port() {
        url.set_port(Some(port)).ok()?;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    fn slave_of(address: &str) -> Failure {
        Failure::Fault(Fault::new("HOST_IS_SLAVE".to_owned(), vec![address.to_owned()]))
    }

    fn down() -> Failure {
        Failure::Lost("no answer".to_owned(), None)
    }

    #[test]
    fn a_search_goes_where_it_is_sent_and_on_to_the_next_member_when_that_is_out_of_reach() {
        let urls = ["https://xs1.example", "https://xs2.example:8443"].map(str::to_owned);
        let members = Members::new(&urls).unwrap();
        let mut search = members.search();
        let first = search.next().unwrap();
        search.refused(first, slave_of("10.0.0.9"));
        let sent = search.next().unwrap();
        assert_eq!(sent.as_str(), "https://10.0.0.9/");
        search.refused(sent, down());
        let next = search.next().unwrap();
        assert_eq!(next.port(), Some(8443));
        search.refused(next, slave_of("10.0.0.9"));
        assert!(search.next().is_some_and(|url| url.port() == Some(8443)), "its own port this time");
        let nobody = search.nobody();
        assert!(matches!(&nobody, Failure::Because(ErrorKind::Unreachable, why, _) if why.contains("10.0.0.9:443")));
    }

    #[test]
    fn members_that_point_at_each_other_end_the_search() {
        let members = Members::new(&["https://a".to_owned(), "https://b".to_owned()]).unwrap();
        let mut search = members.search();
        let mut asked = 0;
        while let Some(url) = search.next() {
            asked += 1;
            let other = if url.host_str() == Some("a") { "b" } else { "a" };
            search.refused(url, slave_of(other));
        }
        assert_eq!(asked, 2);
    }

    #[test]
    fn an_address_may_be_a_name_with_a_port_or_ipv6() {
        let like = Url::parse("https://xs1:4443/x").unwrap();
        assert_eq!(at("fd00::7", &like).unwrap().as_str(), "https://[fd00::7]:4443/");
        assert_eq!(at("xs2:9", &like).unwrap().as_str(), "https://xs2:9/");
        assert_eq!(at("10.0.0.1", &like).unwrap().as_str(), "https://10.0.0.1:4443/");
        assert!(at("", &like).is_none());
    }
}
