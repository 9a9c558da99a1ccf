//! Names and addresses of parties, as people write them.

/// Longest address, in bytes; an invitation's code holds no longer one.
const ADDRESS_BYTES_MAX: usize = 255;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The host in HOST:PORT; an IPv6 address without its brackets.
///
/// # Errors
/// Why nobody could connect to this.
pub fn host_of(address: &str) -> Result<&str, String> {
    let wrong = |why: &str| {
        Err(format!("address {address:?} is no HOST:PORT, as a.example.org:7401 is: {why}"))
    };
    if address.len() > ADDRESS_BYTES_MAX {
        return wrong(&format!("it has more than {ADDRESS_BYTES_MAX} bytes"));
    }
    if address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("there is a space in it");
    }
    if address.contains('/') {
        return wrong("a scheme or a path is no part of it");
    }
    let Some((host, port)) = address.rsplit_once(':') else { return wrong("it has no port") };
    let are_digits = port.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return wrong("its port is not in 1..65535");
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let legal = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
        return match inner.contains(':') && inner.chars().all(legal) {
            true => Ok(inner),
            false => wrong("there is no IPv6 address in the brackets"),
        };
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match host {
        "" => wrong("it has no host"),
        host if host.contains(':') => wrong("an IPv6 address stands in brackets"),
        host if !host.chars().all(legal) => wrong("a host is a DNS name or an IP address"),
        host => Ok(host),
    }
}

/// Whether a party or a table can have this name; it is also that of a folder.
///
/// # Errors
/// What names are.
pub fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(legal) {
        return Err(format!("a name is 1 to {NAME_BYTES_MAX} letters, digits, _ or -"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (address, host) in [
            ("a.example.org:7401", "a.example.org"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:65535", "::1"),
            ("node_1:7401", "node_1"),
        ] {
            assert_eq!(host_of(address), Ok(host));
        }
        for (address, why) in [
            ("foo", "no port"),
            (":99999", "1..65535"),
            (":7401", "no host"),
            ("a:0", "1..65535"),
            ("a:+1", "1..65535"),
            ("a:", "1..65535"),
            ("a b:1", "a space"),
            ("a:1\n", "a space"),
            ("http://x:1", "a scheme"),
            ("x:1/y", "a scheme"),
            ("::1:7401", "in brackets"),
            ("[x]:1", "no IPv6 address"),
            ("[10.0.0.1]:1", "no IPv6 address"),
            ("a@b:1", "a DNS name"),
        ] {
            let error = host_of(address).unwrap_err();
            assert!(error.contains(why) && error.contains("HOST:PORT"), "{address}: {error}");
        }
        assert!(host_of(&format!("{}:1", "a".repeat(254))).is_err());
    }

    #[test]
    fn a_name_leads_to_no_other_folder() {
        for name in ["hospital_a", "B-2"] {
            assert_eq!(check_name(name), Ok(()));
        }
        let long = "a".repeat(65);
        for name in ["", "..", "../../evil", "Bad Name!", "a/b", "é", &long] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
