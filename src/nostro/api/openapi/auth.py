"""What is said about registering, logging in and out, passwords, and who one is."""

from typing import Final

from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Success
from nostro.api.openapi.fields import ANY_EMAIL, ANY_PASSWORD, EMAIL, NAME, PASSWORD, TEXT, ref
from nostro.api.openapi.samples import ANN, TOKEN
from nostro.domain.errors import (
    EmailTaken,
    InvalidField,
    InvalidResetLink,
    LogoutWithoutToken,
    MissingField,
    Overloaded,
    RateLimited,
    WrongPassword,
)

_TAG: Final = "Authentication"
_SIGNED_IN: Json = {"user": ref("User"), "token": {"type": "string", "description": "A JWT."}}
_EXAMPLE: Json = {"user": ANN, "token": TOKEN}
_PASSWORD = "correct horse battery"  # noqa: S105 - an example
_PASSWORD_RULE = InvalidField("password", "must have at least 6 and at most 1024 characters")
_MESSAGE: Json = {"message": TEXT}


def _logout(name: str, summary: str, text: str) -> Description:
    return Description(
        name=name,
        tag=_TAG,
        summary=summary,
        text=text,
        access=Access.OPTIONAL,
        answers=(Success("Logged out; the cookie is cleared.", {}, {}, "logged_out", ("Set-Cookie",)),),
        refusals=(LogoutWithoutToken(),),
    )


def _session(name: str) -> Description:
    return Description(
        name=name,
        tag=_TAG,
        summary="Who am I?",
        text="The user of the token. `/api/auth/session` and `/api/auth/me` answer alike.",
        access=Access.USER,
        answers=(Success("The caller.", {"user": ref("User")}, {"user": ANN}),),
    )


DESCRIPTIONS: Descriptions = {
    ("POST", "/api/auth/register"): Description(
        name="register",
        tag=_TAG,
        summary="Become a user",
        text="Registers a user and logs in at once. Also at `/auth/register`.",
        body=Body(
            {"email": EMAIL, "password": PASSWORD, "name": NAME},
            ("email", "password", "name"),
            {"ann": {"email": "ann@example.com", "password": _PASSWORD, "name": "Ann"}},
        ),
        answers=(Success("Registered and logged in.", _SIGNED_IN, _EXAMPLE, "registered", ("Set-Cookie",)),),
        refusals=(MissingField("name"), _PASSWORD_RULE, EmailTaken(), Overloaded()),
    ),
    ("POST", "/api/auth/login"): Description(
        name="logIn",
        tag=_TAG,
        summary="Get a token",
        text="Unknown address and wrong password get one answer. After ten wrong passwords for one address "
        "from one place within 15 minutes, further tries are refused unread. Also at `/auth/login`.",
        body=Body(
            {"email": ANY_EMAIL, "password": ANY_PASSWORD},
            ("email", "password"),
            {"ann": {"email": "ann@example.com", "password": _PASSWORD}},
        ),
        answers=(Success("Logged in.", _SIGNED_IN, _EXAMPLE, "logged_in", ("Set-Cookie",)),),
        refusals=(
            MissingField("password"),
            InvalidField("email", "must be a string"),
            WrongPassword(),
            RateLimited(),
            Overloaded(),
        ),
    ),
    ("POST", "/api/auth/logout"): _logout(
        "logOut",
        "Revoke the token",
        "The token that was sent is void from now on, everywhere. Also at `/auth/logout`.",
    ),
    ("GET", "/api/auth/logout"): _logout(
        "logOutByGet", "Revoke the token", "As with `POST`, for the clients that ask so."
    ),
    ("POST", "/api/auth/forgot-password"): Description(
        name="forgotPassword",
        tag=_TAG,
        summary="Ask for a link to set a new password",
        text="The answer is the same whether the address is known or not; the link goes by e-mail, works once "
        "and for 30 minutes. Ten wishes for one address from one place within 15 minutes are the most.",
        body=Body({"email": ANY_EMAIL}, ("email",), {"ann": {"email": "ann@example.com"}}),
        answers=(
            Success(
                "If the address is known, a link is on its way.",
                _MESSAGE,
                {"message": "If the address is known, a link is on its way"},
            ),
        ),
        refusals=(MissingField("email"), InvalidField("email", "must be a string"), RateLimited()),
    ),
    ("POST", "/api/auth/reset-password"): Description(
        name="resetPassword",
        tag=_TAG,
        summary="Set a new password",
        text="With the token of the link. Every token issued before is void afterwards, and so is the link.",
        body=Body(
            {"token": ANY_PASSWORD, "email": ANY_EMAIL, "newPassword": PASSWORD},
            ("token", "email", "newPassword"),
            {
                "ann": {
                    "token": "17.5d41402abc4b2a76b9719d911017c592",
                    "email": "ann@example.com",
                    "newPassword": "a better horse",
                }
            },
        ),
        answers=(
            Success(
                "The password was changed.",
                _MESSAGE,
                {"message": "The password was changed; log in with it"},
            ),
        ),
        refusals=(MissingField("token"), _PASSWORD_RULE, InvalidResetLink(), Overloaded()),
    ),
    ("GET", "/api/auth/session"): _session("getSession"),
    ("GET", "/api/auth/me"): _session("getMe"),
}
