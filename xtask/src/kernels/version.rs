//! Which kernels an archive has, by the names of its packages, and which of them is the newest of a series.

/// What every kernel's package begins with, and what those end with that are made for virtual machines.
const BEGIN: &str = "linux-image-";
const END: &str = "-cloud-amd64";

/// The packages that one kernel may be split into.
const PARTS: [&str; 4] = ["image", "binary", "modules", "base"];

/// The newest kernel of a series among package names, one a line: of `5.10`, or of `7`, which has `7.0` to `7.99`.
pub(super) fn newest(names: &str, series: &str) -> Option<String> {
    let kernels = names.lines().filter_map(|name| name.trim().strip_prefix(BEGIN));
    let kernels = kernels.filter(|kernel| kernel.ends_with(END) && is_of(kernel, series));
    kernels.max_by_key(|kernel| numbers(kernel)).map(str::to_owned)
}

/// Whether a kernel's release is of a series.
pub(super) fn is_of(release: &str, series: &str) -> bool {
    let rest = release.strip_prefix(series).and_then(|rest| rest.strip_prefix('.'));
    // A name of two numbers only is a package that draws in the newest one.
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) && numbers(release).len() > 3
}

/// All numbers of a release, by which releases are ordered: `6.1.0-56-cloud-amd64` is `[6, 1, 0, 56, 64]`.
fn numbers(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

/// The names of the packages that a kernel may consist of.
pub(super) fn packages(release: &str) -> Vec<String> {
    PARTS.iter().map(|part| format!("linux-{part}-{release}")).collect()
}

/// Which packages there are, in the table that `apt-cache madison` prints: `NAME | VERSION | SOURCE Packages`.
pub(super) fn offered(table: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in table.lines() {
        let mut columns = line.split('|').map(str::trim);
        let (Some(name), Some(_), Some(source)) = (columns.next(), columns.next(), columns.next()) else { continue };
        if source.ends_with(" Packages") && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Where Debian and its security updates come from, by the sites that apt already uses; `None`: none of them is Debian's.
pub(super) fn sites(used: &str) -> Option<(String, String)> {
    let used: Vec<&str> = used.lines().map(|site| site.trim().trim_end_matches('/')).collect();
    let ending = |end: &str| used.iter().find_map(|site| site.strip_suffix(end));
    let (debian, security) = (ending("/debian"), ending("/debian-security"));
    let base = debian.or(security)?;
    Some((format!("{}/debian", debian.unwrap_or(base)), format!("{}/debian-security", security.unwrap_or(base))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "linux-image-6.1-cloud-amd64\nlinux-image-6.1.0-0.deb11.52-cloud-amd64\n\
        linux-image-6.1.0-9-cloud-amd64\nlinux-image-6.1.0-56-cloud-amd64\nlinux-image-6.1.0-57-amd64\n\
        linux-image-6.12.117+deb13-cloud-amd64\nlinux-image-6.12.99+deb13-cloud-amd64\n\
        linux-image-7.0.13+deb13-cloud-amd64\nlinux-image-7.3.4+deb13-cloud-amd64\nlinux-image-cloud-amd64\n\
        linux-image-6.12.118+deb13-cloud-amd64-unsigned\n";

    #[test]
    fn the_newest_of_a_series_is_newest_by_its_numbers() {
        assert_eq!(newest(NAMES, "6.1").unwrap(), "6.1.0-56-cloud-amd64");
        assert_eq!(newest(NAMES, "6.12").unwrap(), "6.12.117+deb13-cloud-amd64");
        assert_eq!(newest(NAMES, "7").unwrap(), "7.3.4+deb13-cloud-amd64");
        assert_eq!(newest(NAMES, "7.0").unwrap(), "7.0.13+deb13-cloud-amd64");
        assert_eq!(newest(NAMES, "5.10"), None);
        assert_eq!(newest("", "7"), None);
    }

    #[test]
    fn a_series_is_not_what_begins_with_the_same_digits() {
        assert!(!is_of("6.12.117+deb13-cloud-amd64", "6.1"));
        assert!(!is_of("6.1-cloud-amd64", "6"), "draws in others");
        assert!(is_of("6.1.0-56-cloud-amd64", "6"));
    }

    #[test]
    fn what_is_offered_stands_in_the_first_column_once() {
        let table = "linux-image-5.10.0-46-cloud-amd64 | 5.10.262-1 | http://example.org s/main amd64 Packages\n\
            linux-image-5.10.0-46-cloud-amd64 | 5.10.261-1 | http://example.org s/main amd64 Packages\n\
            linux-signed-amd64 | 5.10.262+1 | http://example.org s/main Sources\nN: Unable to locate\n";
        assert_eq!(offered(table), ["linux-image-5.10.0-46-cloud-amd64"]);
        assert!(offered("").is_empty());
    }

    #[test]
    fn the_archive_is_the_one_that_apt_uses_already() {
        let pair = |debian: &str, security: &str| Some((debian.to_owned(), security.to_owned()));
        let both = "http://a.example/debian/\nhttp://b.example/debian-security\n";
        assert_eq!(sites(both), pair("http://a.example/debian", "http://b.example/debian-security"));
        let one = "http://a.example/debian\n";
        assert_eq!(sites(one), pair("http://a.example/debian", "http://a.example/debian-security"));
        assert_eq!(sites("http://a.example/ubuntu\n"), None);
    }

    #[test]
    fn a_kernel_may_be_split() {
        assert_eq!(packages("7.3.4")[1], "linux-binary-7.3.4");
    }
}
