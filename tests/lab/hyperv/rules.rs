//! Rules of a host, limits of the protocol, and what fault rules do to it.

use std::time::Duration;

use tierwright::lab::{ClockMode, Effect, FaultRule, LabOptions, NamedFault};

use super::life::define;
use super::wsman::{V2, envelope, instance, lab, options, property, uri};

const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";

fn pull(context: &str, most: usize) -> String {
    format!(
        "<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext><n:MaxElements>{most}</n:MaxElements></n:Pull>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_holds_what_was_asked_for_and_fits_the_envelope() {
    let (lab, client) = lab(LabOptions { vms: 200, ..options() }).await;
    let class = uri(V2, "Msvm_VirtualSystemSettingData");
    let action = format!("{ENUMERATION}/Pull");
    let begun = client.ask(&format!("{ENUMERATION}/Enumerate"), &class, "", "<n:Enumerate/>").await.unwrap();
    let context = begun.value("n:EnumerationContext").unwrap();
    let page = client.ask(&action, &class, "", &pull(&context, 3)).await.unwrap();
    assert_eq!(page.text.matches("<p:Msvm_VirtualSystemSettingData ").count(), 3);
    for size in [20_000, 153_600] {
        let small = envelope(&action, &class, "", &pull(&context, 32_000)).replace("512000", &size.to_string());
        let page = client.send(small).await.unwrap();
        assert!(page.status == 200 && page.text.len() <= size, "{} of {size}", page.text.len());
        assert!(page.text.matches("<p:Msvm_VirtualSystemSettingData ").count() > 1);
    }
    let tiny = envelope(&action, &class, "", &pull(&context, 10)).replace("512000", "8192");
    let (small, huge) = (tiny.replace("8192", "4096"), tiny.replace("8192", "1048576"));
    // One of these settings alone takes more than is left of eight KiB beside the envelope.
    for (request, subcode) in [(small, "InvalidMessageInformationHeader"), (huge, "EncodingLimit")] {
        let refused = client.send(request).await.unwrap();
        assert!(refused.status == 500 && refused.text.contains(subcode), "{subcode}: {}", refused.text);
    }
    let released = format!("<n:Release><n:EnumerationContext>{context}</n:EnumerationContext></n:Release>");
    assert_eq!(client.ask(&format!("{ENUMERATION}/Release"), &class, "", &released).await.unwrap().status, 200);
    let over = client.ask(&action, &class, "", &pull(&context, 3)).await.unwrap();
    assert!(over.text.contains("n:InvalidEnumerationContext"), "{}", over.text);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_cut_hidden_or_broken_as_told() {
    let (lab, client) = lab(options()).await;
    let systems =
        || async { client.list(V2, "Msvm_ComputerSystem").await.map(|all| all.len()).map_err(|reply| reply.text) };
    assert_eq!(systems().await, Ok(13));
    let cut = lab.faults().add(FaultRule::always(Some("Enumerate"), Some("Msvm_ComputerSystem"), Effect::Truncate(4)));
    assert_eq!(systems().await, Ok(4));
    lab.faults().remove(cut);
    lab.faults().add(FaultRule::always(None, Some("legacy-003"), Effect::Hide));
    assert_eq!(systems().await, Ok(12));
    let guid = lab.world().with(|world| world.vm_named("legacy-003").unwrap().instance_uuid.to_string().to_uppercase());
    let keys = [("CreationClassName", "Msvm_ComputerSystem"), ("Name", guid.as_str())];
    assert_eq!(client.get(V2, "Msvm_ComputerSystem", &keys).await.status, 200);
    lab.faults().add(FaultRule::always(None, Some("legacy-004"), Effect::UnsetConfig));
    let settings =
        client.list(V2, "SELECT * FROM Msvm_VirtualSystemSettingData WHERE ElementName = 'legacy-004'").await;
    assert_eq!(settings.map_err(|reply| reply.text), Ok(Vec::new()));
    lab.faults().clear();
    lab.faults().add(FaultRule::always(None, None, Effect::BreakAfterPage(5)));
    assert!(systems().await.is_err());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_jobs_fail_as_told_and_are_recorded() {
    let (lab, client) = lab(options()).await;
    let settings = instance("Msvm_VirtualSystemSettingData", &[("ElementName", "failing")]);
    let parameters = format!("<p:SystemSettings>{settings}</p:SystemSettings>");
    let named = |fault: &str| NamedFault { fault: fault.to_owned(), message: Some(format!("words of {fault}")) };
    lab.faults().add(FaultRule::nth("DefineSystem", Some("failing"), 1, Effect::FailTask(named("OutOfMemory"))));
    assert_eq!(client.vsms("DefineSystem", &parameters).await.unwrap_err(), (32778, "words of OutOfMemory".to_owned()));
    lab.faults().add(FaultRule::nth("DefineSystem", None, 1, Effect::Fail(named("QuotaLimit"))));
    let service = "Msvm_VirtualSystemManagementService";
    let refused = client.invoke(service, &[], "DefineSystem", &parameters).await;
    assert!(refused.text.contains("w:QuotaLimit") && refused.text.contains("words of QuotaLimit"), "{}", refused.text);
    lab.faults().add(FaultRule::nth("DefineSystem", None, 1, Effect::LoseReply));
    assert!(client.invoke_in(V2, service, &[], ("DefineSystem", &parameters)).await.is_err());
    lab.faults().add(FaultRule::nth("DefineSystem", None, 1, Effect::Drop));
    assert!(client.invoke_in(V2, service, &[], ("DefineSystem", &parameters)).await.is_err());
    lab.clock().advance(Duration::from_mins(1));
    let made = lab.world().with(|world| world.vms().filter(|vm| &*vm.name == "failing").count());
    assert_eq!((made, lab.record().mutating_on("failing").len()), (1, 4));
    assert_eq!(lab.record().mutating_counts()["DefineSystem"], 2);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_host_forgot_is_not_found_and_its_work_is_done() {
    let (lab, client) = lab(options()).await;
    lab.faults().add(FaultRule::nth("DefineSystem", None, 1, Effect::LoseTask));
    let settings = instance("Msvm_VirtualSystemSettingData", &[("ElementName", "forgotten")]);
    let parameters = format!("<p:SystemSettings>{settings}</p:SystemSettings>");
    let started = client.invoke("Msvm_VirtualSystemManagementService", &[], "DefineSystem", &parameters).await;
    let job = started.text.split("Name=\"InstanceID\">").nth(1).and_then(|rest| rest.split('<').next()).expect("a job");
    let gone = client.get(V2, "Msvm_ConcreteJob", &[("InstanceID", job)]).await;
    assert!(gone.text.contains("a:DestinationUnreachable"), "{}", gone.text);
    assert!(lab.world().with(|world| world.vm_named("forgotten").is_some()));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_refused_by_group_by_namespace_and_by_vm() {
    let (lab, client) = lab(options()).await;
    let deny = |target, right: &str| lab.faults().add(FaultRule::always(None, target, Effect::Deny(right.to_owned())));
    let rule = deny(None, "Hyper-V Administrators");
    assert_eq!(client.list(V2, "Msvm_ComputerSystem").await.map_err(|reply| reply.text), Ok(Vec::new()));
    let refused = client.invoke("Msvm_VirtualSystemManagementService", &[], "DefineSystem", "").await;
    assert!(refused.text.contains("w:AccessDenied") && refused.text.contains("Code=\"5\""), "{}", refused.text);
    lab.faults().remove(rule);
    let rule = deny(None, "root/cimv2");
    assert!(client.list("root/cimv2", "Win32_Volume").await.is_err());
    assert!(client.list(V2, "Msvm_ComputerSystem").await.is_ok());
    lab.faults().remove(rule);
    let guid = lab.world().with(|world| world.vm_named("legacy-003").unwrap().instance_uuid.to_string().to_uppercase());
    deny(Some("legacy-003"), "Hyper-V Administrators");
    assert_eq!(client.list(V2, "Msvm_ComputerSystem").await.map_err(|reply| reply.text).unwrap().len(), 12);
    let keys = [("CreationClassName", "Msvm_ComputerSystem"), ("Name", guid.as_str())];
    let refused = client.get(V2, "Msvm_ComputerSystem", &keys).await;
    assert!(refused.text.contains("w:AccessDenied"), "{}", refused.text);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_in_time_is_to_be_asked_for_again() {
    let (lab, client) = lab(LabOptions { clock: ClockMode::Virtual, ..options() }).await;
    lab.faults().add(FaultRule::nth("Enumerate", None, 1, Effect::DelayMs(90_000)));
    let late = client.list(V2, "Msvm_ComputerSystem").await.expect_err("too late");
    assert!(late.text.contains("w:TimedOut") && late.text.contains("Code=\"2150858793\""), "{}", late.text);
    assert!(client.list(V2, "Msvm_ComputerSystem").await.is_ok());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_take_lab_time_and_a_vm_does_one_thing_at_a_time() {
    let (lab, client) = lab(LabOptions { clock: ClockMode::Virtual, ..options() }).await;
    let made = define(&client, "busy-1", 2).await;
    lab.clock().hold(true);
    let keys = [("CreationClassName", "Msvm_ComputerSystem"), ("Name", made.guid.as_str())];
    let on = "<p:RequestedState>2</p:RequestedState>";
    let started = client.invoke("Msvm_ComputerSystem", &keys, "RequestStateChange", on).await;
    assert_eq!(started.value("p:ReturnValue").unwrap(), "4096");
    let again = client.invoke("Msvm_ComputerSystem", &keys, "RequestStateChange", on).await;
    assert_eq!(again.value("p:ReturnValue").unwrap(), "32775");
    let job = client.one("SELECT * FROM Msvm_ConcreteJob WHERE JobState = 4").await;
    assert_eq!((property(&job, "Name"), property(&job, "ErrorCode")), ("RequestStateChange".into(), "0".into()));
    lab.clock().hold(false);
    lab.clock().advance(Duration::from_secs(1));
    let system = client.get(V2, "Msvm_ComputerSystem", &keys).await;
    assert_eq!(system.value("p:EnabledState").unwrap(), "2");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_moves_the_times_that_say_so() {
    let (lab, client) = lab(LabOptions { clock: ClockMode::Virtual, ..options() }).await;
    let times = || async {
        let item = client.one("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'legacy-001'").await;
        let time = |name: &str| item.split(&format!("<p:{name}><cim:Datetime>")).nth(1).unwrap()[..27].to_owned();
        (time("TimeOfLastConfigurationChange"), time("TimeOfLastStateChange"))
    };
    let first = times().await;
    assert_eq!(times().await, first);
    lab.world().with(|world| world.edit_named("legacy-001", |vm| vm.cpus += 1));
    let second = times().await;
    assert!(second.0 != first.0, "{second:?}");
    lab.world().with(|world| {
        let id = world.vm_named("legacy-001").unwrap().id;
        world.edit_runtime(id, |vm| vm.guest.addresses.clear())
    });
    let third = times().await;
    assert!(third.0 == second.0 && third.1 != second.1, "{third:?}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generation_one_needs_to_be_off_where_generation_two_does_not() {
    let (lab, client) = lab(options()).await;
    let nic = [("ResourceType", "10"), ("ResourceSubType", "Microsoft:Hyper-V:Synthetic Ethernet Port")];
    for (sub, hot) in [(1, false), (2, true)] {
        let made = define(&client, &format!("gen-{sub}"), sub).await;
        made.state(&client, 2).await.expect("on");
        let added = made.add(&client, "Msvm_SyntheticEthernetPortSettingData", &nic).await;
        assert_eq!(added.is_ok(), hot, "{added:?}");
        let memory = format!(r"{}\4764334d-e001-4176-82ee-5594ec9b530e", made.settings);
        let more =
            [("InstanceID", memory.as_str()), ("VirtualQuantity", "2048"), ("Reservation", "2048"), ("Limit", "2048")];
        assert_eq!(made.modify(&client, "Msvm_MemorySettingData", &more).await.unwrap_err().0, 32775);
        let other = [("InstanceID", made.settings.as_str()), ("VirtualSystemSubType", "Microsoft:Hyper-V:SubType:9")];
        let settings = instance("Msvm_VirtualSystemSettingData", &other);
        let parameters = format!("<p:SystemSettings>{settings}</p:SystemSettings>");
        assert_eq!(client.vsms("ModifySystemSettings", &parameters).await.unwrap_err().0, 32773);
    }
    lab.stop().await;
}
