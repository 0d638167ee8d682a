//! When certificates and credentials end: PEM files of X.509 certificates (RFC 5280, 4.1: the second time of `validity`)
//! and NATS credentials files (the claim `exp` of their JWT). Pure.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use schemas::timestamp::Timestamp;
use serde::Deserialize;
use time::{Date, Month, OffsetDateTime, Time};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The explicit tag of a certificate's version.
const VERSION: u8 = 0xa0;

/// When the first of the certificates or the credential in `text` ends; nothing when it holds none that ends.
pub(crate) fn ends(text: &str) -> Option<Timestamp> {
    let certificates = blocks(text, "CERTIFICATE").filter_map(|body| not_after(&STANDARD.decode(body).ok()?));
    let credentials = blocks(text, "NATS USER JWT").filter_map(|body| expires(&body));
    certificates.chain(credentials).min()
}

/// What stands between the lines that begin and end each block of this name, without white space.
fn blocks<'a>(text: &'a str, name: &str) -> impl Iterator<Item = String> + use<'a> {
    let (begin, end) = (format!("-----BEGIN {name}-----"), format!("-----END {name}-----"));
    // A credentials file ends its blocks with six hyphens.
    let other = format!("------END {name}------");
    let pieces: Vec<&str> = text.split(begin.as_str()).skip(1).collect();
    pieces.into_iter().filter_map(move |piece| {
        let (body, _) = piece.split_once(other.as_str()).or_else(|| piece.split_once(end.as_str()))?;
        Some(body.split_ascii_whitespace().collect())
    })
}

/// The end of a JWT, if it has one.
fn expires(jwt: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        exp: i64,
    }
    let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    (exp > 0).then(|| Timestamp::from_millis(exp.saturating_mul(1000)))
}

/// `notAfter` of a certificate in DER.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if let Some((VERSION, _, rest)) = element(fields) {
        fields = rest;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    moment(tag, std::str::from_utf8(text).ok()?)
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` (years 1950 to 2049) or `YYYYMMDDhhmmssZ`, which RFC 5280 demands.
fn moment(tag: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let digits = match (tag, digits.len()) {
        (UTC_TIME, 12) if digits < "50" => format!("20{digits}"),
        (UTC_TIME, 12) => format!("19{digits}"),
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u8>().ok();
    let month = Month::try_from(number(4, 6)?).ok()?;
    let date = Date::from_calendar_date(digits.get(..4)?.parse().ok()?, month, number(6, 8)?).ok()?;
    let time = Time::from_hms(number(8, 10)?, number(10, 12)?, number(12, 14)?).ok()?;
    Some(OffsetDateTime::new_utc(date, time).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A certificate of its own making, ending before 2050.
    const SOON: &str = "\
-----BEGIN CERTIFICATE-----
MIIBcjCCARmgAwIBAgIUBJCnJ9iCLdNSLbc8pDBi6+txXC0wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEc29vbjAeFw0yNjExMjAxMzI1MjdaFw0yNjEyMjAxMzI1Mjda
MA8xDTALBgNVBAMMBHNvb24wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQRCqi+
IJzXcVhsDGJ+ae3/6Cu6KT2g+SfOkMuU87u34IQy7w9KBWa2/lbuDMyTV4x4Oa6n
CUBoiVNVyGtfhjDno1MwUTAdBgNVHQ4EFgQU7okiE/9B3SgyhXt0SSOlc/0Ry58w
HwYDVR0jBBgwFoAU7okiE/9B3SgyhXt0SSOlc/0Ry58wDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNHADBEAiAQQ3oANludNuoG0LtRhN+FRYCEbHfbA1vKF4fd
S7IASQIgCv3hZTK6M+OUkykk2WryfBUz3X7li8bWJBPte3nYFTw=
-----END CERTIFICATE-----";

    /// Another, ending after 2050.
    const LATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUE05+LtSrRsJM1AQVPAJoIeqJf3QwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbGF0ZTAgFw0yNjExMjAxMzI1MjdaGA8yMDgxMDgyMzEzMjUy
N1owDzENMAsGA1UEAwwEbGF0ZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNLn
buvptxDB4L0DuBor8ux6QxRjrayDr8Ter2yaB7mIVT7diajPXDs56taJuHEwSFI8
mg9+jy/F1PLFmqT6hP2jUzBRMB0GA1UdDgQWBBRNqfKtuUItprVTQzMa8radCsSF
5DAfBgNVHSMEGDAWgBRNqfKtuUItprVTQzMa8radCsSF5DAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIHZZXlB4IZthiBv2Ut+qWb5yuzVROcDVISfs
otNJTYLdAiBRxRITFAj9BaqqyGawitMz3C07OInHwl+3LF2hECI6zw==
-----END CERTIFICATE-----";

    #[test]
    fn a_certificate_ends_at_its_second_time() {
        assert_eq!(ends(SOON).unwrap().to_string(), "2026-12-20T13:25:27Z");
        assert_eq!(ends(LATE).unwrap().to_string(), "2081-08-23T13:25:27Z");
    }

    #[test]
    fn of_several_the_first_to_end_counts() {
        let bundle = format!("# ours\n{LATE}\n{SOON}{LATE}");
        assert_eq!(ends(&bundle), ends(SOON));
    }

    #[test]
    fn a_credential_ends_with_its_claim() {
        let file = |claims: &str| {
            let claims = URL_SAFE_NO_PAD.encode(claims);
            format!(
                "-----BEGIN NATS USER JWT-----\nhead.{claims}.sign\n------END NATS USER JWT------\n\n\
                 -----BEGIN USER NKEY SEED-----\nSUAB\n------END USER NKEY SEED------\n"
            )
        };
        assert_eq!(ends(&file(r#"{"exp": 1800000000, "sub": "u"}"#)), Some(Timestamp::from_millis(1_800_000_000_000)));
        assert_eq!(ends(&file(r#"{"sub": "u"}"#)), None, "it does not end");
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for text in [
            "",
            "nothing",
            "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(ends(text), None, "{text}");
        }
        assert_eq!(moment(UTC_TIME, "490101000000Z").unwrap().to_string(), "2049-01-01T00:00:00Z");
        assert_eq!(moment(UTC_TIME, "500101000000Z").unwrap().to_string(), "1950-01-01T00:00:00Z");
        assert_eq!(moment(GENERALIZED_TIME, "20500231000000Z"), None, "no such day");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..600) {
            not_after(&bytes);
            let der = STANDARD.decode(blocks(SOON, "CERTIFICATE").next().unwrap()).unwrap();
            not_after(&der[..cut.min(der.len())]);
        }
    }
}
