//! Scripts: plain text commands for the real binary against the lab, over the wire; whole output compared.
//!
//! One file under `tests/scripts/` is one script and one test. Lines are:
//!
//! ```text
//! # prose
//! vm NAME [project=P] [cpus=N] [memory=S] [disks=NAME:SIZE,…] [nics=NAME:NETWORK,…] [FIELD=VALUE …]   writes NAME.yaml
//! vms PREFIX COUNT [as above]     writes PREFIX-001.yaml and so on
//! tier FIELD=VALUE …              changes tier-1's sync policy or defaults
//! text NAME TEXT                  writes TEXT to NAME in the source
//! rm NAME | rm-all | rm-source    removes from the source
//! lab WHAT …                      changes the lab behind tierwright's back (see harness/lab.rs)
//! fault EFFECT [op=…] [target=…] [nth=N]   a fault rule; `fault clear` ends them all
//! calls                           prints the mutating calls since the last `calls`, by operation and VM
//! calls-count                     the same, only counted
//! brief ARGS                      as `$ ARGS`, with only the first and last lines of a long output
//! into NAME ARGS                  as `$ ARGS`, and what it prints on stdout becomes NAME in the source
//! edit NAME OLD => NEW            changes a text in the source
//! adopt NAME VM                   the manifest NAME adopts the lab's VM of this name
//! $ ARGS                          runs tierwright; `$APPROVAL` is the last digest it asked for
//! ```
//!
//! What a line printed follows it, indented; an exit code other than 0 stands in brackets. `UPDATE_GOLDENS=1` rewrites.

#[path = "scripts/harness/mod.rs"]
mod harness;

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            harness::run(stringify!($name));
        })*

        #[test]
        fn every_script_is_run() {
            let mut named: Vec<String> = [$(stringify!($name)),*].iter().map(|name| format!("{name}.txt")).collect();
            named.sort();
            assert_eq!(harness::script_files(), named);
        }
    };
}

scripts! {
    a_backup_is_taken_over_once_its_original_is_gone
    a_broken_file_destroys_nothing
    a_clone_that_copied_our_mark_is_not_ours
    a_config_that_is_unset_is_unknown
    a_mark_removed_by_hand_stops_everything_about_that_vm
    a_key_that_only_looks_renamed_waits_for_a_word
    a_missing_source_destroys_nothing
    a_page_cut_short_destroys_nothing
    a_reboot_happens_once_and_only_when_allowed
    a_released_vm_runs_on_and_comes_back_by_adoption_only
    a_renamed_key_takes_its_vm_along
    a_vm_missing_from_a_good_answer_is_not_gone
    an_empty_source_destroys_nothing
    an_existing_vm_is_taken_over_as_it_is
    an_older_mark_that_came_back_waits_for_a_person
    an_unreachable_endpoint_destroys_nothing
    lost_rights_are_not_absence
    protection_removed_with_the_file_still_protects
    removals_past_the_daily_limit_wait_over_several_runs
    three_hundred_removals_at_once_destroy_nothing
    only_a_vm_that_is_nobodys_and_matches_is_taken_over
    two_vms_with_one_mark_wait_for_a_person
}
