//! Record sets as the SDK and the AWS CLI write them.

use aws_sdk_route53::{
    error::BuildError,
    types::{
        AliasTarget, Change, ChangeAction, ChangeBatch, CidrRoutingConfig, Coordinates, GeoLocation,
        GeoProximityLocation, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover,
        ResourceRecordSetRegion, RrType,
    },
};
use runbook_core::{Value, fault::Fault};
use serde_json::{Map, json};

use super::{
    batch::{Action, Alteration},
    record::{Alias, Cidr, Geolocation, Geoproximity, Record, Routing},
};

/// From the answer of Route 53.
pub(crate) fn read(set: &ResourceRecordSet) -> Record {
    let routing = set.set_identifier().map(|identifier| Routing {
        set_identifier: identifier.to_owned(),
        weight: set.weight,
        region: set.region().map(|region| region.as_str().to_owned()),
        failover: set.failover().map(|failover| failover.as_str().to_owned()),
        geolocation: set.geo_location().map(|at| Geolocation {
            continent: at.continent_code.clone(),
            country: at.country_code.clone(),
            subdivision: at.subdivision_code.clone(),
        }),
        geoproximity: set.geo_proximity_location().map(|at| Geoproximity {
            region: at.aws_region.clone(),
            local_zone_group: at.local_zone_group.clone(),
            latitude: at.coordinates().map(|point| point.latitude.clone()),
            longitude: at.coordinates().map(|point| point.longitude.clone()),
            bias: at.bias,
        }),
        cidr: set.cidr_routing_config().map(|cidr| Cidr {
            collection_id: cidr.collection_id.clone(),
            location: cidr.location_name.clone(),
        }),
        multivalue: set.multi_value_answer,
    });
    let record = Record {
        name: set.name.clone(),
        r#type: set.r#type().as_str().to_owned(),
        ttl: set.ttl,
        values: set.resource_records().iter().map(|record| record.value.clone()).collect(),
        alias: set.alias_target().map(|target| Alias {
            zone_id: target.hosted_zone_id.clone(),
            name: target.dns_name.clone(),
            evaluate_target_health: target.evaluate_target_health,
        }),
        routing,
        health_check: set.health_check_id.clone(),
        traffic_policy: set.traffic_policy_instance_id.clone(),
    };
    record.normal()
}

/// The batch as the SDK sends it.
pub(crate) fn batch(comment: &str, alterations: &[Alteration]) -> Result<ChangeBatch, Fault> {
    let incomplete = |error: BuildError| Fault::permanent(format!("the batch could not be written: {error}"));
    let mut batch = ChangeBatch::builder().comment(comment);
    for alteration in alterations {
        let set = set_of(&alteration.record).map_err(incomplete)?;
        let action = match alteration.action {
            Action::Create => ChangeAction::Create,
            Action::Upsert => ChangeAction::Upsert,
            Action::Delete => ChangeAction::Delete,
        };
        let change = Change::builder().action(action).resource_record_set(set).build().map_err(incomplete)?;
        batch = batch.changes(change);
    }
    batch.build().map_err(incomplete)
}

fn set_of(record: &Record) -> Result<ResourceRecordSet, BuildError> {
    let mut set = ResourceRecordSet::builder()
        .name(&record.name)
        .r#type(RrType::from(record.r#type.as_str()))
        .set_ttl(record.ttl)
        .set_health_check_id(record.health_check.clone());
    for value in &record.values {
        set = set.resource_records(ResourceRecord::builder().value(value).build()?);
    }
    if let Some(alias) = &record.alias {
        let target = AliasTarget::builder()
            .hosted_zone_id(&alias.zone_id)
            .dns_name(&alias.name)
            .evaluate_target_health(alias.evaluate_target_health);
        set = set.alias_target(target.build()?);
    }
    let Some(routing) = &record.routing else { return set.build() };
    set = set
        .set_identifier(&routing.set_identifier)
        .set_weight(routing.weight)
        .set_region(routing.region.as_deref().map(ResourceRecordSetRegion::from))
        .set_failover(routing.failover.as_deref().map(ResourceRecordSetFailover::from))
        .set_multi_value_answer(routing.multivalue);
    if let Some(at) = &routing.geolocation {
        let at = GeoLocation::builder()
            .set_continent_code(at.continent.clone())
            .set_country_code(at.country.clone())
            .set_subdivision_code(at.subdivision.clone());
        set = set.geo_location(at.build());
    }
    if let Some(at) = &routing.geoproximity {
        let mut near = GeoProximityLocation::builder()
            .set_aws_region(at.region.clone())
            .set_local_zone_group(at.local_zone_group.clone())
            .set_bias(at.bias);
        if let (Some(latitude), Some(longitude)) = (&at.latitude, &at.longitude) {
            near = near.coordinates(Coordinates::builder().latitude(latitude).longitude(longitude).build()?);
        }
        set = set.geo_proximity_location(near.build());
    }
    if let Some(cidr) = &routing.cidr {
        let cidr =
            CidrRoutingConfig::builder().collection_id(&cidr.collection_id).location_name(&cidr.location);
        set = set.cidr_routing_config(cidr.build()?);
    }
    set.build()
}

/// The batch as `aws route53 change-resource-record-sets --change-batch` takes it.
pub(crate) fn shown(comment: &str, alterations: &[Alteration]) -> Value {
    let changes = alterations.iter().map(|alteration| {
        json!({"Action": alteration.action.called(), "ResourceRecordSet": shown_set(&alteration.record)})
    });
    json!({"Comment": comment, "Changes": changes.collect::<Vec<_>>()})
}

fn shown_set(record: &Record) -> Value {
    let mut set = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            set.insert(key.to_owned(), value);
        }
    };
    put("Name", Some(json!(record.name)));
    put("Type", Some(json!(record.r#type)));
    if let Some(routing) = &record.routing {
        put("SetIdentifier", Some(json!(routing.set_identifier)));
        put("Weight", routing.weight.map(Into::into));
        put("Region", routing.region.clone().map(Into::into));
        put("Failover", routing.failover.clone().map(Into::into));
        put("MultiValueAnswer", routing.multivalue.map(Into::into));
        put(
            "GeoLocation",
            routing.geolocation.as_ref().map(|at| {
                without_nulls(json!({"ContinentCode": at.continent, "CountryCode": at.country,
                                     "SubdivisionCode": at.subdivision}))
            }),
        );
        put(
            "GeoProximityLocation",
            routing.geoproximity.as_ref().map(|at| {
                let point = at
                    .latitude
                    .as_ref()
                    .map(|latitude| json!({"Latitude": latitude, "Longitude": at.longitude}));
                without_nulls(json!({"AWSRegion": at.region, "LocalZoneGroup": at.local_zone_group,
                                     "Coordinates": point, "Bias": at.bias}))
            }),
        );
        put(
            "CidrRoutingConfig",
            routing
                .cidr
                .as_ref()
                .map(|cidr| json!({"CollectionId": cidr.collection_id, "LocationName": cidr.location})),
        );
    }
    put("TTL", record.ttl.map(Into::into));
    let values: Vec<Value> = record.values.iter().map(|value| json!({"Value": value})).collect();
    put("ResourceRecords", (!values.is_empty()).then(|| values.into()));
    put(
        "AliasTarget",
        record.alias.as_ref().map(|alias| {
            json!({"HostedZoneId": alias.zone_id, "DNSName": alias.name,
                   "EvaluateTargetHealth": alias.evaluate_target_health})
        }),
    );
    put("HealthCheckId", record.health_check.clone().map(Into::into));
    Value::Object(set)
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_routing_comes_back_as_it_was() {
        let rules = [
            json!({"weight": 10}),
            json!({"region": "eu-west-1"}),
            json!({"failover": "SECONDARY"}),
            json!({"geolocation": {"country": "US", "subdivision": "CA"}}),
            json!({"geolocation": {"continent": "EU"}}),
            json!({"geoproximity": {"region": "eu-west-1", "bias": -5}}),
            json!({"geoproximity": {"latitude": "48.1", "longitude": "11.6"}}),
            json!({"cidr": {"collection_id": "c", "location": "office"}}),
            json!({"multivalue": true}),
        ];
        for mut rule in rules {
            rule["set_identifier"] = json!("one");
            let record: Record = serde_json::from_value(json!({
                "name": "a.test", "type": "A", "ttl": 60, "values": ["192.0.2.1"], "routing": rule,
                "health_check": "h-1",
            }))
            .unwrap();
            assert_eq!(read(&set_of(&record).unwrap()), record);
        }
        let alias: Record = serde_json::from_value(json!({
            "name": "a.test", "type": "A",
            "alias": {"zone_id": "Z1", "name": "lb.test", "evaluate_target_health": true},
        }))
        .unwrap();
        assert_eq!(read(&set_of(&alias).unwrap()), alias);
    }
}
