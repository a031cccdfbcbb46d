//! Users of the image. A static program has no name service: `/etc/passwd` is all there is.

use std::fs;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Finds a user by name, or by number; a number need not be known, and is the group's then, too.
pub(super) fn find(name: &str) -> Result<User, String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    find_in(&passwd, name).ok_or_else(|| format!("there is no user {name}"))
}

fn find_in(passwd: &str, name: &str) -> Option<User> {
    let number = name.parse::<u32>().ok();
    let known = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (found, _password) = (fields.next()?, fields.next()?);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (found == name || number == Some(uid)).then_some(User { uid, gid })
    });
    known.or_else(|| {
        number.map(|number| User {
            uid: number,
            gid: number,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nnobody:x:65534:100::/:/bin/false\n";
        let user = |uid, gid| Some(User { uid, gid });
        assert_eq!(find_in(passwd, "root"), user(0, 0));
        assert_eq!(find_in(passwd, "nobody"), user(65534, 100));
        assert_eq!(find_in(passwd, "65534"), user(65534, 100));
        assert_eq!(find_in(passwd, "30000"), user(30000, 30000));
        assert_eq!(find_in(passwd, "broken"), None);
        assert_eq!(find_in(passwd, "-1"), None);
    }
}
