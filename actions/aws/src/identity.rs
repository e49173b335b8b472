//! Who asks, where, and how things of AWS are named: no name leaves out the account or the region.

use runbook_core::change::Target;

/// The caller, as STS knows it, and the region that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: String,
    /// The caller's own ARN.
    pub(crate) arn: String,
    pub(crate) region: String,
    /// Where all services answer, where an emulator stands in for AWS.
    pub(crate) endpoint: Option<String>,
}

impl Identity {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub(crate) fn partition(&self) -> &str {
        self.arn.split(':').nth(1).filter(|name| name.starts_with("aws")).unwrap_or("aws")
    }

    /// `aws:123456789012/eu-west-1/rds-cluster/orders`.
    pub(crate) fn target(&self, kind: &str, name: &str, uid: Option<String>) -> Target {
        Target::new(format!("aws:{}/{}/{kind}/{name}", self.account, self.region), uid)
    }

    /// What belongs to an account but to no region.
    pub(crate) fn global_target(&self, kind: &str, name: &str, uid: Option<String>) -> Target {
        Target::new(format!("aws:{}/global/{kind}/{name}", self.account), uid)
    }

    /// `arn:aws:rds:eu-west-1:123456789012:snapshot:orders`.
    pub(crate) fn rds_arn(&self, kind: &str, name: &str) -> String {
        format!("arn:{}:rds:{}:{}:{kind}:{name}", self.partition(), self.region, self.account)
    }
    pub(crate) fn zone_arn(&self, id: &str) -> String {
        format!("arn:{}:route53:::hostedzone/{id}", self.partition())
    }

    /// Where a request for RDS goes, as people read it in a plan.
    pub(crate) fn rds_url(&self, operation: &str) -> String {
        let service = format!("rds.{}", self.region);
        format!("{}/?Action={operation}", self.url(&service))
    }
    pub(crate) fn zone_url(&self, id: &str) -> String {
        let service = if self.partition() == "aws-us-gov" { "route53.us-gov" } else { "route53" };
        format!("{}/2013-04-01/hostedzone/{id}/rrset", self.url(service))
    }

    fn url(&self, service: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None if self.partition() == "aws-cn" => format!("https://{service}.amazonaws.com.cn"),
            None => format!("https://{service}.amazonaws.com"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(arn: &str, region: &str) -> Identity {
        Identity {
            account: "123456789012".to_owned(),
            arn: arn.to_owned(),
            region: region.to_owned(),
            endpoint: None,
        }
    }

    #[test]
    fn names_say_account_and_region() {
        let here = identity("arn:aws:sts::123456789012:assumed-role/oncall/ada", "eu-west-1");
        let target = here.target("rds-cluster", "orders", Some("cluster-1".to_owned()));
        assert_eq!(target.name, "aws:123456789012/eu-west-1/rds-cluster/orders");
        assert_eq!(target.short(), "orders");
        let zone = here.global_target("hosted-zone", "Z1/example.com", None);
        assert_eq!(
            (zone.name.as_str(), zone.short()),
            ("aws:123456789012/global/hosted-zone/Z1/example.com", "example.com")
        );
        assert_eq!(
            here.rds_arn("cluster-snapshot", "s"),
            "arn:aws:rds:eu-west-1:123456789012:cluster-snapshot:s"
        );
    }

    #[test]
    fn addresses_are_those_of_the_partition_or_of_the_emulator() {
        for (arn, region, rds, zone) in [
            (
                "arn:aws:iam::1:user/ada",
                "eu-west-1",
                "https://rds.eu-west-1.amazonaws.com/?Action=X",
                "https://route53.amazonaws.com/2013-04-01/hostedzone/Z1/rrset",
            ),
            (
                "arn:aws-cn:iam::1:user/ada",
                "cn-north-1",
                "https://rds.cn-north-1.amazonaws.com.cn/?Action=X",
                "https://route53.amazonaws.com.cn/2013-04-01/hostedzone/Z1/rrset",
            ),
            (
                "arn:aws-us-gov:iam::1:user/ada",
                "us-gov-west-1",
                "https://rds.us-gov-west-1.amazonaws.com/?Action=X",
                "https://route53.us-gov.amazonaws.com/2013-04-01/hostedzone/Z1/rrset",
            ),
        ] {
            let identity = identity(arn, region);
            assert_eq!((identity.rds_url("X").as_str(), identity.zone_url("Z1").as_str()), (rds, zone));
        }
        let emulated =
            Identity { endpoint: Some("http://127.0.0.1:15000/".to_owned()), ..identity("", "eu-west-1") };
        assert_eq!(emulated.rds_url("X"), "http://127.0.0.1:15000/?Action=X");
    }
}
