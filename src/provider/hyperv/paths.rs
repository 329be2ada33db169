//! Paths as Windows writes them. Pure.
//!
//! Compared without regard to case, as Windows does; WMI itself gives the names of files in lower case.

/// Are these the same file?
pub(super) fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.to_lowercase() == other.to_lowercase()
}

/// A path that does not depend on a current folder or drive.
pub(super) fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    matches!(bytes, [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic()) || path.starts_with(r"\\")
}

/// The folder that a file lies in, without a backslash at its end unless it is a drive's root.
pub(super) fn parent(path: &str) -> Option<&str> {
    let at = path.rfind('\\')?;
    let front = path.get(..at)?;
    if front.ends_with(':') { path.get(..=at) } else { Some(front).filter(|front| !front.is_empty()) }
}

/// A file in a folder.
pub(super) fn join(folder: &str, file: &str) -> String {
    format!(r"{}\{file}", folder.trim_end_matches('\\'))
}

/// A delta that a checkpoint made.
pub(super) fn is_checkpoint(path: &str) -> bool {
    path.to_lowercase().ends_with(".avhdx") || path.to_lowercase().ends_with(".avhd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_in_its_folder() {
        assert_eq!(parent(r"D:\Hyper-V\a.vhdx"), Some(r"D:\Hyper-V"));
        assert_eq!(parent(r"D:\a.vhdx"), Some(r"D:\"));
        assert_eq!(parent("a.vhdx"), None);
        assert_eq!(join(r"D:\Hyper-V\", "a.vhdx"), r"D:\Hyper-V\a.vhdx");
        assert_eq!(join(r"D:\", "a.vhdx"), r"D:\a.vhdx");
    }

    #[test]
    fn case_does_not_count() {
        assert!(same(r"D:\Hyper-V\Ä.VHDX", r"d:\hyper-v\ä.vhdx"));
        assert!(!same(r"D:\a", r"D:\b"));
        assert!(is_checkpoint(r"D:\x_1234.AVHDX") && !is_checkpoint(r"D:\x.vhdx"));
        assert!(is_absolute(r"D:\x") && is_absolute(r"\\server\share") && !is_absolute("no-such-storage"));
    }
}
