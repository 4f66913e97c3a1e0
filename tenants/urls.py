from django.urls import path

from tenants.pages import account, households, invitations

_household = "households/<uuid:tenant_id>/"

urlpatterns = [
    path("", account.overview, name="account"),
    path("sessions/", account.sessions, name="sessions"),
    path("sessions/end-others/", account.end_other_sessions, name="end-other-sessions"),
    path("sessions/<int:pk>/end/", account.end_session, name="end-session"),
    path("tokens/", account.tokens, name="tokens"),
    path("tokens/new/", account.new_token, name="new-token"),
    path("tokens/<uuid:pk>/revoke/", account.end_token, name="end-token"),
    path("invitations/<str:link>/", invitations.invitation, name="invitation"),
    path(_household, households.household, name="household"),
    path(f"{_household}invite/", households.invite_person, name="invite"),
    path(
        f"{_household}invitations/<uuid:pk>/withdraw/",
        households.withdraw_invitation,
        name="withdraw-invitation",
    ),
    path(f"{_household}members/<uuid:user_id>/role/", households.change_role, name="change-role"),
    path(
        f"{_household}members/<uuid:user_id>/remove/",
        households.remove_member,
        name="remove-member",
    ),
    path(f"{_household}leave/", households.leave, name="leave-household"),
    path(f"{_household}hand-over/", households.give, name="hand-over"),
    path(f"{_household}export/", households.export, name="export-household"),
    path(f"{_household}remove/", households.remove, name="remove-household"),
]
