//! A small ISO 9660 image: one folder of files, with their names in lower case by the Joliet extension. Pure.
//!
//! ```text
//! sector 0-15  system area, empty          18     terminator                      23   root directory, plain names
//! 16           primary descriptor          19 20  path tables, plain names        24   root directory, Joliet names
//! 17           Joliet descriptor           21 22  path tables, Joliet names       25…  the files
//! ```
//!
//! Sector and field numbers are those of ECMA-119; the Joliet descriptor is the supplementary one with the escape
//! sequence `%/E` and names in UCS-2, big-endian (Joliet specification, section 3). A path table comes in both byte
//! orders and names the root alone. All dates are unset, so that equal files make equal bytes.

const SECTOR: usize = 2048;
const PRIMARY: usize = 16;
const JOLIET: usize = 17;
const TERMINATOR: usize = 18;
const PATH_TABLES: [usize; 4] = [19, 20, 21, 22];
const ROOT: usize = 23;
const JOLIET_ROOT: usize = 24;
const FILES: usize = 25;

/// The image of a CD with this label and these files, names and contents. Names are of letters, digits and hyphens.
pub(in crate::provider) fn image(label: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut starts = Vec::with_capacity(files.len());
    let mut end = FILES;
    for (_, content) in files {
        starts.push(end);
        end += content.len().div_ceil(SECTOR).max(1);
    }
    let mut image = vec![0; end * SECTOR];
    put(&mut image, PRIMARY, &descriptor(1, label, ROOT, end));
    put(&mut image, JOLIET, &descriptor(2, label, JOLIET_ROOT, end));
    put(&mut image, TERMINATOR, b"\xffCD001\x01");
    for (table, root) in PATH_TABLES.into_iter().zip([ROOT, ROOT, JOLIET_ROOT, JOLIET_ROOT]) {
        put(&mut image, table, &path_table(root, table % 2 == PATH_TABLES[0] % 2));
    }
    let listing = |root: usize, name: fn(&str) -> Vec<u8>| {
        let mut entries = vec![record(&[0], root, SECTOR, true), record(&[1], root, SECTOR, true)];
        let mut named: Vec<_> =
            files.iter().zip(&starts).map(|((file, content), at)| (name(file), *at, content)).collect();
        named.sort();
        entries.extend(named.iter().map(|(name, at, content)| record(name, *at, content.len(), false)));
        entries.concat()
    };
    put(&mut image, ROOT, &listing(ROOT, plain_name));
    put(&mut image, JOLIET_ROOT, &listing(JOLIET_ROOT, joliet_name));
    for ((_, content), at) in files.iter().zip(&starts) {
        put(&mut image, *at, content);
    }
    image
}

fn put(image: &mut [u8], sector: usize, bytes: &[u8]) {
    let at = sector * SECTOR;
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// `META_DATA.;1`: upper case, and `_` for what the standard does not allow (ECMA-119, 7.5).
fn plain_name(name: &str) -> Vec<u8> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{}.;1", name.chars().map(allowed).collect::<String>()).into_bytes()
}

fn joliet_name(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A number in both byte orders (ECMA-119, 7.3.3).
fn both(number: usize) -> [u8; 8] {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A directory record (ECMA-119, 9.1).
fn record(name: &[u8], sector: usize, length: usize, folder: bool) -> Vec<u8> {
    let size = 33 + name.len() + usize::from(name.len().is_multiple_of(2));
    let mut record = vec![0; size];
    record[0] = u8::try_from(size).unwrap_or(u8::MAX);
    record[2..10].copy_from_slice(&both(sector));
    record[10..18].copy_from_slice(&both(length));
    record[25] = if folder { 2 } else { 0 };
    record[28..32].copy_from_slice(&[1, 0, 0, 1]);
    record[32] = u8::try_from(name.len()).unwrap_or(u8::MAX);
    record[33..33 + name.len()].copy_from_slice(name);
    record
}

/// The root alone (ECMA-119, 9.4).
fn path_table(root: usize, little: bool) -> [u8; 10] {
    let root = u32::try_from(root).unwrap_or(u32::MAX);
    let mut table = [0; 10];
    table[0] = 1;
    let (sector, parent) =
        if little { (root.to_le_bytes(), 1u16.to_le_bytes()) } else { (root.to_be_bytes(), 1u16.to_be_bytes()) };
    table[2..6].copy_from_slice(&sector);
    table[6..8].copy_from_slice(&parent);
    table
}

/// A volume descriptor, primary (ECMA-119, 8.4) or supplementary (8.5).
fn descriptor(kind: u8, label: &str, root: usize, sectors: usize) -> Vec<u8> {
    let joliet = kind == 2;
    let mut bytes = vec![0; SECTOR];
    bytes[0] = kind;
    bytes[1..7].copy_from_slice(b"CD001\x01");
    let mut text = |range: std::ops::Range<usize>, text: &str| {
        let width = range.len();
        let padded = format!("{text:<width$}");
        let encoded: Vec<u8> =
            if joliet { padded.encode_utf16().flat_map(u16::to_be_bytes).collect() } else { padded.into_bytes() };
        bytes[range].copy_from_slice(&encoded[..width]);
    };
    text(8..40, "");
    text(40..72, label);
    for range in [190..318, 318..446, 446..574, 574..702, 702..739, 739..776, 776..813] {
        text(range, "");
    }
    bytes[80..88].copy_from_slice(&both(sectors));
    if joliet {
        bytes[88..91].copy_from_slice(b"%/E");
    }
    bytes[120..124].copy_from_slice(&[1, 0, 0, 1]);
    bytes[124..128].copy_from_slice(&[1, 0, 0, 1]);
    bytes[128..132].copy_from_slice(&[0, 8, 8, 0]);
    bytes[132..140].copy_from_slice(&both(10));
    let tables = if joliet { [PATH_TABLES[2], PATH_TABLES[3]] } else { [PATH_TABLES[0], PATH_TABLES[1]] };
    let [little, big] = tables.map(|sector| u32::try_from(sector).unwrap_or(u32::MAX));
    bytes[140..144].copy_from_slice(&little.to_le_bytes());
    bytes[148..152].copy_from_slice(&big.to_be_bytes());
    bytes[156..190].copy_from_slice(&record(&[0], root, SECTOR, true));
    // Dates as the standard says "not specified" (8.4.26.1): digits zero, and a zero byte.
    for at in [813, 830, 847, 864] {
        bytes[at..at + 16].fill(b'0');
    }
    bytes[881] = 1;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(image: &[u8], at: usize) -> usize {
        let little = u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
        assert_eq!(little, u32::from_be_bytes(image[at + 4..at + 8].try_into().unwrap()));
        little as usize
    }

    /// Reads it as a driver does: descriptor, root, records.
    fn files(image: &[u8], descriptor: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let at = descriptor * SECTOR;
        assert_eq!(&image[at + 1..at + 6], b"CD001");
        assert_eq!(number(image, at + 80) * SECTOR, image.len());
        let mut at = number(image, at + 158) * SECTOR;
        let mut files = Vec::new();
        while image[at] != 0 {
            let (start, length) = (number(image, at + 2) * SECTOR, number(image, at + 10));
            let name = &image[at + 33..at + 33 + usize::from(image[at + 32])];
            if image[at + 25] == 0 {
                files.push((name.to_vec(), image[start..start + length].to_vec()));
            }
            at += usize::from(image[at]);
        }
        files
    }

    #[test]
    fn files_are_found_under_both_kinds_of_names() {
        let long = vec![7; 5000];
        let image = image("CIDATA", &[("user-data", &long), ("meta-data", b"{}"), ("empty", b"")]);
        assert_eq!(&image[PRIMARY * SECTOR + 40..PRIMARY * SECTOR + 46], b"CIDATA");
        let plain = files(&image, PRIMARY);
        assert_eq!(plain[0], (b"EMPTY.;1".to_vec(), Vec::new()));
        assert_eq!(plain[1], (b"META_DATA.;1".to_vec(), b"{}".to_vec()));
        assert_eq!(plain[2], (b"USER_DATA.;1".to_vec(), long.clone()));
        let joliet = files(&image, JOLIET);
        let wide: Vec<u8> = "user-data".bytes().flat_map(|byte| [0, byte]).collect();
        assert_eq!(joliet[2], (wide, long));
    }
}
