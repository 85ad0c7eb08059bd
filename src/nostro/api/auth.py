"""Registering, logging in and out, and who one is."""

import contextlib

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.authentication import COOKIE, refuse_cross_site, token_of
from nostro.api.bodies import missing_of, read_fields, require, text_of
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer, user_document
from nostro.domain.errors import LogoutWithoutToken, TokenInvalid, TokenMissing, WrongPassword
from nostro.store.users import User


async def register(request: Request, desk: Desk) -> Response:
    fields = await read_fields(request)
    require(fields, "email", "password", "name")
    user = await desk.ledger.users.register(
        text_of(fields, "email"), text_of(fields, "password"), text_of(fields, "name")
    )
    return _signed_in(request, desk, "registered", user)


async def log_in(request: Request, desk: Desk) -> Response:
    fields = await read_fields(request)
    source = _source(request)
    if not missing_of(fields, "email"):
        desk.logins.check(text_of(fields, "email"), source)  # before the password: errors.PRECEDENCE
    require(fields, "email", "password")
    email, password = text_of(fields, "email"), text_of(fields, "password")
    try:
        user = await desk.ledger.users.log_in(email, password)
    except WrongPassword:
        desk.logins.wrong(email, source)
        raise
    desk.logins.right(email, source)
    return _signed_in(request, desk, "logged_in", user)


def _source(request: Request) -> str:
    """Where the request comes from, as the server saw it."""
    return request.client.host if request.client else ""


def _signed_in(request: Request, desk: Desk, situation: str, user: User) -> Response:
    token = desk.tokens.mint(user.id, user.role, user.token_epoch)
    document: Document = {"user": user_document(user), "token": token}
    answer = desk.answer(request, situation, document)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=desk.tokens.lifetime_s,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


async def log_out(request: Request, desk: Desk) -> Response:
    """Revokes the token if it is one of ours; whatever else was sent, there is nothing to revoke."""
    token, by_cookie = token_of(request)
    if by_cookie:
        refuse_cross_site(request, desk.origins)  # a logout changes something with GET too
    if not token and desk.dialect(request).answer("logout_without_token")[0] >= 400:
        raise LogoutWithoutToken
    with contextlib.suppress(TokenMissing, TokenInvalid):
        await desk.ledger.users.log_out(desk.claims(request))
    answer = desk.answer(request, "logged_out", {})
    answer.delete_cookie(COOKIE, path="/", secure=request.url.scheme == "https", httponly=True, samesite="lax")
    return answer


async def session(request: Request, desk: Desk) -> Response:
    return json_answer(200, {"success": True, "user": user_document(await desk.user(request))})


async def forgot_password(request: Request, desk: Desk) -> Response:
    """The same answer whether the address is known or not."""
    fields = await read_fields(request)
    email = text_of(fields, "email")
    source = _source(request)
    desk.logins.check(email, source)
    desk.logins.wrong(email, source)
    await desk.resets.ask(email)
    return json_answer(200, {"message": "If the address is known, a link is on its way", "success": True})


async def reset_password(request: Request, desk: Desk) -> Response:
    fields = await read_fields(request)
    require(fields, "token", "email", "newPassword")
    await desk.resets.reset(text_of(fields, "email"), text_of(fields, "token"), text_of(fields, "newPassword"))
    return json_answer(200, {"message": "The password was changed; log in with it", "success": True})
