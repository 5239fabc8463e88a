//! What every storage engine must do, and what every rule does on each of them.
//!
//! To add a case: an `async fn(fixture: Fixture)` in the file of its subject, and its name in `conformance!`. To add an
//! engine: a [`crate::support::engine::Engine`] and a line at the end of this page. A case that an engine can't keep is named there, with the
//! reason.

mod acting;
mod addresses;
mod api_keys;
mod citus;
mod credentials;
mod endings;
mod erasures;
mod events;
mod facets;
mod filters;
mod fixture;
mod hot_paths;
mod idempotency;
mod imported_addresses;
mod imports;
mod isolation;
mod lifecycle;
mod links;
mod lists;
mod lookups;
mod mails;
mod members;
mod names;
mod numbered;
mod organizations;
mod owners;
mod people;
mod searches;
mod shape;
mod teams;
mod updates;

use futures_util::future::LocalBoxFuture;

use self::fixture::Fixture;
use crate::support::{
    engine::{Postgres, Sqlite},
    skip,
};

/// Hands every case to a macro.
macro_rules! every_case {
    ($to:ident) => {
        $to! {
            organizations: [
                an_organization_is_found_by_its_id_and_by_its_slug,
                a_slug_is_unique_among_live_organizations,
                of_many_who_want_a_slug_at_once_one_gets_it,
                a_deleted_organization_is_gone_and_its_slug_is_free,
                a_deleted_organization_has_no_key_that_opens_anything,
                a_deleted_organization_takes_nothing_new,
                organizations_come_in_the_order_of_their_slugs,
                an_organization_changes_where_it_is_told_to,
                staff_without_a_role_get_the_default_role_of_their_organization,
            ]
            api_keys: [
                a_key_comes_back_as_it_was_stored,
                an_organization_has_one_current_public_key,
                of_many_public_keys_made_at_once_one_is_stored,
                a_revoked_public_key_makes_room_for_another,
                an_expired_public_key_makes_room_for_another,
                a_rotated_key_ends_when_it_is_told_to,
                a_rotated_key_ends_no_later_than_it_would_have,
                a_key_is_rotated_once,
                a_revoked_key_is_not_rotated,
                of_many_rotations_at_once_one_happens,
                a_rotation_that_fails_leaves_the_old_key_as_it_was,
                a_key_is_revoked_once,
                a_rotated_key_can_be_revoked_before_its_time,
                keys_come_in_the_order_they_were_made,
                keys_of_no_organization_are_a_set_of_their_own,
                when_a_key_was_used_is_kept_and_is_no_event,
                an_expired_key_is_not_rotated,
            ]
            members: [
                a_member_comes_back_as_it_was_linked,
                an_address_is_the_same_person_in_every_organization,
                a_known_user_is_linked_by_id,
                a_user_who_does_not_exist_is_not_linked,
                a_link_that_fails_leaves_no_user_behind,
                a_user_is_linked_to_an_organization_once,
                an_address_is_unique_among_live_members,
                of_many_links_of_one_address_at_once_one_happens,
                of_many_links_of_one_user_at_once_one_happens,
                members_without_an_address_are_many,
                a_revoked_member_is_gone_from_every_read,
                a_member_is_revoked_once,
                of_many_revokes_at_once_one_happens,
                a_user_who_is_linked_again_is_a_new_member_and_the_same_user,
                an_address_is_free_for_another_user_at_once,
                addresses_compare_byte_for_byte,
                an_address_that_no_member_can_have_finds_nobody,
                members_come_in_the_order_of_their_linking,
            ]
            links: [
                a_first_link_creates_all_that_was_said,
                a_repeated_link_finds_what_is_there_and_writes_no_event,
                a_link_with_other_values_updates_only_those,
                a_link_is_found_by_user_then_by_external_id_then_by_address,
                an_external_id_belongs_to_its_source_and_its_organization,
                a_link_that_is_there_gets_an_external_id_if_it_has_none,
                a_source_alone_changes_nothing_and_an_external_id_of_another_is_not_taken,
                an_address_finds_its_user_across_organizations,
                what_a_link_refers_to_must_be_there,
                numbers_count_each_organizations_members_and_are_never_used_again,
                of_many_equal_links_at_once_one_creates_and_the_others_find,
            ]
            imported_addresses: [
                addresses_that_two_organizations_import_at_once_are_the_same_people,
                an_import_tells_of_no_address_whether_others_know_it,
                the_ids_of_users_are_in_no_order_of_an_import,
            ]
            imports: [
                an_import_comes_to_what_links_one_by_one_come_to,
                an_import_that_is_repeated_changes_nothing,
                rows_of_an_import_come_in_their_order,
                rows_that_take_long_are_imported_in_parts,
                people_are_described_otherwise_by_an_import,
                a_row_that_is_rejected_leaves_the_others_alone,
                imported_people_who_were_revoked_at_one_moment_come_by_their_numbers,
            ]
            addresses: [
                an_address_leads_to_the_user_who_has_it_wherever_that_is,
                an_address_that_nobody_has_leads_to_who_had_it_last,
                an_address_that_its_last_user_has_left_for_another_is_a_new_persons,
                of_two_who_have_an_address_the_one_who_had_it_first_is_found,
                an_address_neither_merges_nor_moves_nor_blocks_who_is_here_under_another,
                changing_an_address_changes_one_link,
                an_erased_address_leads_to_nobody_and_a_former_one_neither,
                an_erased_address_leads_on_by_what_other_links_have_or_had,
                links_to_a_deleted_organization_have_ended,
                who_has_no_address_now_is_still_found_by_the_last_one,
                every_address_of_a_link_is_told_with_the_time_in_which_it_had_it,
            ]
            updates: [
                an_update_changes_the_named_field_and_no_other,
                what_may_be_absent_can_be_cleared,
                an_update_that_changes_nothing_leaves_no_trace,
                an_update_of_another_version_changes_nothing,
                of_many_updates_of_one_version_at_once_one_happens,
                an_address_is_changed_only_to_a_free_one,
                an_external_id_is_changed_only_to_a_free_one,
                only_a_live_member_of_the_organization_is_updated,
            ]
            endings: [
                a_revoked_member_is_found_only_where_it_is_asked_for,
                members_by_id_are_found_whether_live_or_revoked_as_asked,
                a_restored_member_is_what_it_was,
                a_member_is_not_restored_once_somebody_has_its_place,
                a_member_is_restored_within_the_retention_time,
                the_place_of_a_deleted_user_is_whoevers_takes_it,
            ]
            owners: [
                the_last_enabled_owner_stays_an_owner,
                of_two_owners_who_go_at_once_one_stays,
                an_organization_without_an_owner_needs_none,
                an_integrators_delete_leaves_the_last_owner,
            ]
            facets: [
                a_link_makes_an_end_user_or_staff_or_both,
                a_link_of_the_other_kind_adds_the_facet_and_keeps_the_ids,
                a_live_member_loses_either_facet_but_never_both,
                a_lookup_by_key_finds_end_users_only,
                a_delete_ends_the_link_of_end_users_and_the_facet_of_staff,
                restoring_brings_the_facets_back_and_erasing_takes_both,
                end_users_are_listed_apart_from_those_who_are_only_staff,
            ]
            erasures: [
                an_erased_member_keeps_only_its_id,
                an_erased_address_is_a_new_persons,
                only_ones_own_member_is_erased,
                every_link_of_a_user_is_told_oldest_first,
                associations_are_live_links_in_the_order_of_the_slugs,
                being_seen_is_no_change,
                nobody_is_due_unless_the_organization_says_when,
            ]
            filters: [
                each_filter_lets_through_what_it_says,
                any_filter_lists_what_it_counts_in_any_order_and_page_by_page,
            ]
            lists: [
                members_without_a_name_come_first_and_equal_names_by_number,
                pages_are_whole_while_members_come_and_go,
                lists_are_of_one_organization,
                revoked_members_come_the_last_first_and_without_those_who_are_back_or_erased,
                revoked_members_are_listed_by_the_role_that_they_had,
            ]
            names: [
                first_and_last_name_make_the_name_unless_it_is_given,
                the_longest_first_and_last_name_make_a_name,
                an_event_names_the_parts_of_a_name_and_an_erasure_removes_them,
            ]
            numbered: [
                what_is_counted_is_what_is_listed_whatever_changes,
                a_page_has_its_number_from_either_end,
                only_one_without_a_role_is_linked_if_that_is_asked_for,
            ]
            searches: [
                every_part_of_a_name_finds_it,
                letter_case_does_not_matter_beyond_ascii_either,
                what_a_query_language_would_read_is_read_as_it_stands,
                the_longest_part_that_there_can_be_is_found,
                members_of_other_organizations_are_never_found,
                a_renamed_member_is_found_by_its_new_name_only,
                any_of_several_parts_is_enough,
                no_part_reaches_from_a_name_into_an_address,
            ]
            idempotency: [
                a_repeated_request_gets_the_first_answer_as_it_was,
                an_idempotency_key_is_good_for_one_request_of_one_caller_in_one_organization,
                an_answer_is_forgotten_after_a_day,
                a_request_that_failed_has_no_answer,
                of_many_equal_requests_at_once_one_is_done,
                a_repetition_about_an_erased_member_is_refused_for_a_day,
                old_responses_are_removed_whoever_they_were_for,
            ]
            isolation: [
                what_another_organization_has_is_not_found,
                revoking_in_one_organization_leaves_the_other,
                a_lookup_by_key_stays_in_the_organization_of_the_key,
            ]
            lookups: [
                a_lookup_by_key_finds_the_key_and_the_member,
                many_lookups_at_once_each_get_their_own_answer,
                a_lookup_sees_every_change_that_was_acknowledged_before,
                lookups_whose_callers_went_away_harm_nobody,
            ]
            mails: [
                a_mail_comes_back_as_it_was_queued_and_as_it_was_saved,
                each_organization_with_mails_to_send_gets_its_turn,
                mails_are_listed_by_state_in_the_order_they_were_queued,
                a_members_mails_are_found_and_removed_and_no_others,
                old_mails_are_removed_unless_they_wait,
                a_branding_changes_where_it_is_told_to,
                a_welcome_is_queued_for_who_becomes_staff_and_has_an_address,
                a_member_is_queued_few_mails_an_hour,
                mails_of_a_clock_that_was_ahead_stand_for_none,
            ]
            events: [
                every_change_is_one_event,
                a_change_that_fails_is_no_event,
                an_event_says_who_did_it,
                events_come_in_order_and_only_ones_own,
                events_are_read_by_user_and_by_kind,
                events_come_the_newest_first_where_that_is_asked_for,
                a_commit_is_told_to_those_who_follow_the_log,
                    where_each_log_ends_is_told,
                every_organization_counts_its_events_without_gaps_while_many_write,
            ]
            hot_paths: [
                an_integrators_delete_does_what_the_rules_do,
                a_lookup_by_key_finds_what_the_rules_find,
            ]
            teams: [
                a_team_has_the_next_number_and_a_slug_of_its_own,
                of_many_teams_made_at_once_each_has_a_number_of_its_own,
                a_renamed_team_keeps_all_else,
                the_members_of_a_team_are_those_who_were_named,
                a_team_that_is_deleted_takes_nobody_with_it,
                many_leave_a_team_in_steps,
                a_revoked_member_keeps_its_teams_until_they_are_deleted,
                a_team_of_another_organization_is_not_there,
            ]
            acting: [
                an_admin_neither_changes_nor_makes_an_owner,
                an_admin_manages_everybody_else_and_an_owner_everybody,
                who_has_lost_the_role_changes_nothing,
                a_change_that_races_with_the_end_of_the_role_comes_first_or_not_at_all,
            ]
            credentials: [
                a_token_comes_back_with_its_live_member,
                a_token_of_another_organization_is_not_touched,
                the_use_of_a_token_is_kept_if_it_is_later,
                tokens_that_are_over_are_removed_the_first_first,
                a_link_sets_a_password_once_and_ends_what_another_password_gave,
                a_link_that_is_over_sets_nothing,
                a_right_password_admits_while_it_is_the_members,
                only_those_who_manage_members_get_a_code,
                an_access_token_that_has_ended_gets_no_code,
                of_many_who_use_a_code_at_once_one_gets_a_session,
                tokens_end_for_good_with_what_they_stand_on,
                an_erased_member_leaves_neither_password_nor_token,
                nothing_works_in_a_deleted_organization,
            ]
            lifecycle: [
                changes_made_at_once_fail_alone,
                a_rule_that_panics_is_undone_alone_and_all_goes_on,
                changes_whose_callers_went_away_are_whole_or_not_at_all,
                closing_finishes_what_was_accepted,
                a_closed_storage_says_so,
                what_was_written_is_there_after_opening_again,
            ]
        }
    };
}

/// Runs every case on an engine.
macro_rules! conformance {
    ($name:ident, $engine:ty, exempt: [$($exempt:literal: $why:literal),* $(,)?]) => {
        mod $name {
            use super::*;

            type ThisEngine = $engine;
            const EXEMPT: &[(&str, &str)] = &[$(($exempt, $why)),*];

            every_case!(cases);
        }
    };
}

/// One test for each case, in a module for each file.
macro_rules! cases {
    ($($file:ident: [$($case:ident),+ $(,)?])+) => {
        $(mod $file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some((_, why)) = super::EXEMPT.iter().find(|(case, _)| *case == stringify!($case)) {
                    return super::skip(why);
                }
                if let Some(fixture) = super::Fixture::new::<super::ThisEngine>().await {
                    super::super::$file::$case(fixture).await;
                }
            })+
        })+
    };
}

/// A case that is not run yet.
type Case = fn(Fixture) -> LocalBoxFuture<'static, ()>;

/// Files, names and cases.
macro_rules! listed {
    ($($file:ident: [$($case:ident),+ $(,)?])+) => {
        const CASES: &[(&str, &str, Case)] = &[$($((
            stringify!($file), stringify!($case), |fixture| Box::pin($file::$case(fixture)),
        )),+),+];
    };
}

every_case!(listed);

conformance!(sqlite, Sqlite, exempt: []);
conformance!(postgres, Postgres, exempt: []);
