//! Where a bucket is: the host and path that its requests go to.

use super::{Endpoint, S3Settings};
use crate::authority::{Authority, Host, is_name_char};
use crate::http_url::{HttpUrl, Scheme};

/// How the bucket's name gets into a request (Nix HEAD `s3-url.hh`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum AddressingStyle {
    /// By host at AWS (by path if the name has a dot), by path at any other endpoint.
    #[default]
    Auto,
    /// By path: `https://endpoint/bucket/key`.
    Path,
    /// By host: `https://bucket.endpoint/key`.
    Virtual,
}

/// Where the requests for a bucket go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketAddress {
    /// The URL of the bucket; keys are appended to its path.
    pub url: HttpUrl,
    /// The URL of the service without the bucket, as the endpoint of clients that add the bucket themselves.
    pub service: HttpUrl,
    /// Whether the bucket is in the host name.
    pub virtual_hosted: bool,
    /// Whether it would be, had its name no dot.
    pub fell_back_to_path: bool,
}

/// Settings that leave no way to address the bucket.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressingError {
    /// A bucket whose name has a dot cannot be a host: no wildcard certificate covers two levels.
    #[error(
        "bucket `{bucket}` has a dot in its name, so its host would not match the server's certificate, \
         expected `addressing-style=path` or `addressing-style=auto`"
    )]
    DottedBucket {
        /// The bucket.
        bucket: String,
    },
    /// A bucket's name cannot stand in front of an IP address.
    #[error("endpoint `{host}` is an IP address, expected a host name for `addressing-style=virtual`")]
    AddressWithVirtualStyle {
        /// The endpoint's host.
        host: Host,
    },
    /// AWS's hosts have the region in their names.
    #[error(
        "region `{region}` cannot be part of a host of AWS, expected only letters, digits, `.`, `_` and `-`"
    )]
    RegionInHost {
        /// The region.
        region: String,
    },
    /// A signature names the region, in a header of ASCII.
    #[error(
        "region `{region}` cannot be signed for, expected visible characters of ASCII other than `/` and `,`"
    )]
    RegionInSignature {
        /// The region.
        region: String,
    },
    /// Transfer acceleration knows hosts only.
    #[error("`accelerate=true` addresses buckets by host, expected `addressing-style=auto` or `virtual`")]
    AccelerateWithPathStyle,
    /// There is no accelerated FIPS endpoint.
    #[error("`accelerate=true` and `fips=true` exclude one another")]
    AccelerateWithFips,
    /// A setting that picks one of AWS's endpoints beside an endpoint that is given.
    #[error("`{setting}=true` picks one of AWS's endpoints, expected no `endpoint=` beside it")]
    AwsSettingWithEndpoint {
        /// The setting.
        setting: &'static str,
    },
}

/// The domains of AWS's partitions by the start of their regions' names; every other region is in `amazonaws.com`.
const PARTITIONS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// The domain of AWS's partition that a region is in. Credentials are good in one partition, and a bucket's name means one bucket
/// in each.
pub fn aws_domain(region: &str) -> &'static str {
    PARTITIONS
        .iter()
        .find_map(|(start, domain)| region.starts_with(start).then_some(*domain))
        .unwrap_or("amazonaws.com")
}

impl S3Settings {
    /// Where the requests for the bucket go.
    ///
    /// The rules are those of Nix HEAD (`s3-url.cc`), with AWS's other partitions, and with its dual-stack, FIPS and
    /// accelerated endpoints added.
    ///
    /// # Errors
    /// If the settings contradict one another or the bucket's name.
    pub fn bucket_address(&self) -> Result<BucketAddress, AddressingError> {
        let region = &self.region;
        let can_be_signed = |character: char| character.is_ascii_graphic() && !matches!(character, '/' | ',');
        if region.is_empty() || !region.chars().all(can_be_signed) {
            return Err(AddressingError::RegionInSignature { region: region.clone() });
        }
        match &self.endpoint {
            None => self.aws_address(),
            Some(endpoint) => self.endpoint_address(endpoint),
        }
    }

    fn aws_address(&self) -> Result<BucketAddress, AddressingError> {
        let region = &self.region;
        if !region.chars().all(is_name_char) {
            return Err(AddressingError::RegionInHost { region: region.clone() });
        }
        let domain = aws_domain(region);
        let dual_stack = if self.dual_stack { ".dualstack" } else { "" };
        let host = if self.accelerate {
            if self.fips {
                return Err(AddressingError::AccelerateWithFips);
            }
            if self.addressing_style == AddressingStyle::Path {
                return Err(AddressingError::AccelerateWithPathStyle);
            }
            format!("s3-accelerate{dual_stack}.{domain}")
        } else {
            let fips = if self.fips { "-fips" } else { "" };
            format!("s3{fips}{dual_stack}.{region}.{domain}")
        };
        let service = HttpUrl::new(self.scheme, Authority { host: Host::Name(host), port: None });
        self.address(service, true)
    }

    fn endpoint_address(&self, endpoint: &Endpoint) -> Result<BucketAddress, AddressingError> {
        let conflicts =
            [("dual-stack", self.dual_stack), ("fips", self.fips), ("accelerate", self.accelerate)];
        if let Some((setting, _)) = conflicts.into_iter().find(|(_, set)| *set) {
            return Err(AddressingError::AwsSettingWithEndpoint { setting });
        }
        let (scheme, segments): (Scheme, &[String]) = match endpoint {
            Endpoint::Url(url) => (url.scheme, &url.segments),
            Endpoint::Authority(_) => (self.scheme, &[]),
        };
        let mut service = HttpUrl::new(scheme, endpoint.authority().clone());
        service.segments = segments.to_vec();
        self.address(service, false)
    }

    fn address(&self, service: HttpUrl, virtual_by_default: bool) -> Result<BucketAddress, AddressingError> {
        let wanted = match self.addressing_style {
            AddressingStyle::Auto => virtual_by_default,
            AddressingStyle::Path => false,
            AddressingStyle::Virtual => true,
        };
        let dotted = self.bucket.contains('.');
        let explicit = self.addressing_style == AddressingStyle::Virtual || self.accelerate;
        if wanted && dotted && explicit {
            return Err(AddressingError::DottedBucket { bucket: self.bucket.clone() });
        }
        let virtual_hosted = wanted && !dotted;
        let mut url = service.clone();
        if virtual_hosted {
            url.authority.host = match url.authority.host {
                Host::Name(name) => Host::Name(format!("{}.{name}", self.bucket)),
                host => return Err(AddressingError::AddressWithVirtualStyle { host }),
            };
        } else {
            url.segments.push(self.bucket.clone());
        }
        Ok(BucketAddress { url, service, virtual_hosted, fell_back_to_path: wanted && dotted })
    }
}
