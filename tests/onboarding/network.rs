//! Hosts with a network each: namespaces that are joined by a switch, where this machine allows them.

use super::{Host, from_nothing_to_a_result, refused};
use std::process::Command;

/// Namespaces of this process's hosts, and one for the switch between them.
struct Network {
    prefix: String,
    hosts: usize,
}

impl Network {
    /// `None` where namespaces cannot be made.
    fn of(hosts: usize) -> Option<Self> {
        let network = Self { prefix: format!("senate-{}", std::process::id()), hosts };
        let switch = network.switch();
        let made = ip(&["netns", "add", &switch])
            && ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"])
            && ip(&["-n", &switch, "link", "set", "switch", "up"])
            && (0..hosts).all(|host| network.plug_in(host));
        made.then_some(network)
    }

    fn plug_in(&self, host: usize) -> bool {
        let (own, switch, port) = (self.host(host), self.switch(), format!("port{host}"));
        let address = format!("{}/24", self.address(host));
        let cable = ["type", "veth", "peer", "name", &port, "netns", &switch];
        ip(&["netns", "add", &own])
            && ip(&[&["-n", &own, "link", "add", "eth0"][..], &cable].concat())
            && ip(&["-n", &switch, "link", "set", &port, "master", "switch", "up"])
            && ip(&["-n", &own, "addr", "add", &address, "dev", "eth0"])
            && ip(&["-n", &own, "link", "set", "eth0", "up"])
            && ip(&["-n", &own, "link", "set", "lo", "up"])
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.prefix)
    }

    fn host(&self, host: usize) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn address(&self, host: usize) -> String {
        format!("10.77.0.{}", host + 1)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in 0..self.hosts {
            ip(&["netns", "del", &self.host(host)]);
        }
        ip(&["netns", "del", &self.switch()]);
    }
}

fn ip(words: &[&str]) -> bool {
    Command::new("ip").args(words).output().is_ok_and(|output| output.status.success())
}

#[test]
fn hosts_with_a_network_each_come_to_a_result_and_name_the_one_whose_cable_is_cut() {
    let Some(network) = Network::of(3) else {
        return eprintln!("not tested: this machine makes no network namespaces");
    };
    let host = |number: usize, name| {
        Host::at(name, format!("{}:7401", network.address(number)), Some(network.host(number)))
    };
    let hosts = [host(0, "org_a"), host(1, "org_b"), host(2, "org_c")];
    let daemons = from_nothing_to_a_result(&hosts);
    assert!(ip(&["-n", &network.host(2), "link", "set", "eth0", "down"]));
    let total = ["query", "--timeout", "20", "SELECT COUNT(*) AS n FROM visits"];
    let stderr = refused(&hosts[0].senate(&total).output().unwrap(), 4);
    assert!(stderr.contains("org_c"), "{stderr}");
    drop(daemons);
}
