//! How often one address may try to come in. Memory is bounded however many addresses there are.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use runbook_core::{Timestamp, duration::Duration};

/// How many addresses are told apart. Those beyond share one allowance, as long as nobody is forgotten.
const MOST_ADDRESSES: usize = 4_096;

/// The limits of a server.
#[derive(Debug)]
pub struct Limits {
    /// Begun and ended sign-ins: each is written down, and asks the provider.
    pub sign_ins: Throttle,
    /// Requests that proved nothing: each is written to the audit log. Whoever has a good token comes in
    /// all the same: to guess 256 bits is hopeless, and a colleague behind the same address is not to
    /// be locked out.
    pub failures: Throttle,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_ins: Throttle::new(20, Duration::from_secs(3)),
            failures: Throttle::new(100, Duration::from_secs(2)),
        }
    }
}

/// An allowance for each address: so many at once, then one more each time that this has passed.
#[derive(Debug)]
pub struct Throttle {
    burst: u32,
    every: Duration,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    addresses: BTreeMap<Address, Allowance>,
    others: Allowance,
}

/// One address of IPv4, or the network of 64 bits that somebody has of IPv6. None where nothing says
/// where a request came from.
type Address = Option<[u8; 8]>;

#[derive(Debug, Clone, Copy, Default)]
struct Allowance {
    /// When it is whole again.
    whole_at: Timestamp,
    /// Whether it was said that it is used up.
    told: bool,
}

/// The allowance is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// Until there is one more.
    pub wait: Duration,
    /// Whether nobody was told since there was one: the audit log is told once.
    pub is_new: bool,
}

impl Throttle {
    pub fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, known: Mutex::default() }
    }

    /// Takes one from the allowance of an address.
    pub fn take(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), UsedUp> {
        let address = from.map(told_apart);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.addresses.len() >= MOST_ADDRESSES && !known.addresses.contains_key(&address) {
            known.addresses.retain(|_, allowance| allowance.whole_at > now);
        }
        let Known { addresses, others } = &mut *known;
        let is_full = addresses.len() >= MOST_ADDRESSES && !addresses.contains_key(&address);
        let allowance = if is_full { others } else { addresses.entry(address).or_default() };
        let whole_at = self.every.after(allowance.whole_at.max(now));
        let room = Duration::from(self.every.as_std().saturating_mul(self.burst));
        if whole_at > room.after(now) {
            let wait = Duration::between(room.after(now), whole_at);
            let is_new = !std::mem::replace(&mut allowance.told, true);
            return Err(UsedUp { wait, is_new });
        }
        *allowance = Allowance { whole_at, told: false };
        Ok(())
    }
}

fn told_apart(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        // No network of IPv6 begins so.
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0, 0, 0xff, 0xff, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn at(seconds: u64) -> Timestamp {
        Duration::from_secs(seconds).after(NOON)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        let throttle = Throttle::new(3, Duration::from_secs(10));
        let one = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(throttle.take(one, at(0)), Ok(()));
        }
        let used_up = |seconds, is_new| Err(UsedUp { wait: Duration::from_secs(seconds), is_new });
        assert_eq!(throttle.take(one, at(0)), used_up(10, true));
        assert_eq!(throttle.take(one, at(4)), used_up(6, false), "to ask again does not make it longer");
        assert_eq!(throttle.take(address("192.0.2.2"), at(4)), Ok(()), "somebody else");
        assert_eq!(throttle.take(None, at(4)), Ok(()));
        assert_eq!(throttle.take(one, at(10)), Ok(()));
        assert_eq!(throttle.take(one, at(10)), used_up(10, true));
        for _ in 0..3 {
            assert_eq!(throttle.take(one, at(1_000)), Ok(()));
        }
        assert_eq!(throttle.take(one, at(1_000)), used_up(10, true));
        // A clock that was set back harms nobody for longer than it was set back.
        assert!(throttle.take(one, at(0)).is_err());
        assert_eq!(throttle.take(one, at(1_010)), Ok(()));
    }

    #[test]
    fn an_address_is_what_somebody_has_of_it() {
        let throttle = Throttle::new(1, Duration::from_secs(10));
        for (text, expected) in [
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::9", false),
            ("2001:db8:0:2::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("::c000:201", true),
        ] {
            assert_eq!(throttle.take(address(text), at(0)).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn memory_is_bounded_however_many_addresses_there_are() {
        let throttle = Throttle::new(2, Duration::from_secs(10));
        let nth = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
        let count = |throttle: &Throttle| throttle.known.lock().unwrap().addresses.len();
        for n in 0..MOST_ADDRESSES as u32 {
            assert_eq!(throttle.take(nth(n), at(0)), Ok(()));
        }
        // Those beyond share one allowance; those who are known have their own.
        assert_eq!(throttle.take(nth(1 << 20), at(0)), Ok(()));
        assert_eq!(throttle.take(nth(1 << 21), at(0)), Ok(()));
        assert!(throttle.take(nth(1 << 22), at(0)).is_err());
        assert_eq!(throttle.take(nth(7), at(0)), Ok(()));
        assert_eq!(count(&throttle), MOST_ADDRESSES);
        // Whoever has their whole allowance again is forgotten.
        assert_eq!(throttle.take(nth(1 << 22), at(11)), Ok(()));
        assert_eq!(count(&throttle), 2);
    }
}
