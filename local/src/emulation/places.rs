//! Limits the connections of a listener by client address, so that one address cannot use all of them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Limits of open connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// All together.
    pub(crate) all: usize,
    /// Of all addresses beyond this host together. The rest up to `all` is reserved for loopback: the operator's
    /// browser, the gateway's webhooks, health checks, and a reverse proxy on this host.
    pub(crate) remote: usize,
    /// Of one address beyond this host. IPv6 counts by /64, since one subscriber has at least that.
    pub(crate) of_one_remote: usize,
    /// Of one loopback address. Higher, because a reverse proxy on this host connects from one address for every
    /// client.
    pub(crate) of_one_loopback: usize,
}

/// The limits of this service. Together with the process's open files they stay below the default limit of 1,024 file
/// descriptors.
pub(crate) const CAPS: Caps = Caps { all: 768, remote: 512, of_one_remote: 64, of_one_loopback: 512 };

// No kind of address may use all connections.
const _: () = assert!(CAPS.of_one_remote < CAPS.remote && CAPS.remote < CAPS.all && CAPS.of_one_loopback < CAPS.all);

/// The free places for connections. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    caps: Caps,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    of: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    /// All places are free.
    pub(crate) fn new(caps: Caps) -> Self {
        Self { caps, taken: Arc::default() }
    }

    /// Takes a place for a connection of this peer. `None` when its address, or its kind of address, is at its limit.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Place> {
        let of = counted_as(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |is_counted: fn(&IpAddr) -> bool| -> usize {
            taken.iter().filter(|(address, _)| is_counted(address)).map(|(_, count)| count).sum()
        };
        let (all, remote) = (sum(|_| true), sum(|address| !address.is_loopback()));
        let own = taken.get(&of).copied().unwrap_or(0);
        let has_place = all < self.caps.all
            && match of.is_loopback() {
                true => own < self.caps.of_one_loopback,
                false => own < self.caps.of_one_remote && remote < self.caps.remote,
            };
        has_place.then(|| {
            taken.insert(of, own + 1);
            Place { of, taken: self.taken.clone() }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

/// The address that counts: IPv4 by address, also when written as IPv6; IPv6 by its /64.
fn counted_as(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Caps = Caps { all: 6, remote: 4, of_one_remote: 2, of_one_loopback: 3 };

    fn take(places: &Places, peers: &[&str]) -> Vec<bool> {
        // Never freed, like connections that stay open.
        peers.iter().map(|peer| places.take(peer.parse().unwrap()).map(std::mem::forget).is_some()).collect()
    }

    #[test]
    fn one_address_has_a_share_and_remote_ones_together_leave_places_to_loopback() {
        let places = Places::new(SMALL);
        assert_eq!(take(&places, &["192.0.2.1", "192.0.2.1", "192.0.2.1"]), [true, true, false]);
        assert_eq!(take(&places, &["192.0.2.2", "192.0.2.3", "192.0.2.4"]), [true, true, false], "four remote ones");
        assert_eq!(take(&places, &["127.0.0.1", "127.0.0.1", "127.0.0.1"]), [true, true, false], "six in all");
        let places = Places::new(SMALL);
        assert_eq!(take(&places, &["127.0.0.2"; 4]), [true, true, true, false], "a loopback address has a share too");
        assert_eq!(take(&places, &["127.0.0.1"]), [true]);
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let places = Places::new(SMALL);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let (first, _second) = (places.take(peer).unwrap(), places.take(peer).unwrap());
        assert!(places.take(peer).is_none());
        drop(first);
        assert!(places.take(peer).is_some());
    }

    #[test]
    fn a_subscriber_is_one_address_however_it_is_written() {
        let places = Places::new(SMALL);
        assert_eq!(take(&places, &["2001:db8::1", "2001:db8::2", "2001:db8::3"]), [true, true, false]);
        assert_eq!(take(&places, &["2001:db8:0:1::1"]), [true], "another network");
        let places = Places::new(SMALL);
        assert_eq!(take(&places, &["::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"]), [true, true, false]);
        assert_eq!(take(&places, &["::1", "::ffff:127.0.0.1"]), [true, true], "both are loopback");
    }
}
