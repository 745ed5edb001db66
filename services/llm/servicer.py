"""The gRPC face of dialogue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from visavis.llm.v1 import llm_pb2, llm_pb2_grpc

from services.common.describe import service_info
from services.common.engine import Capability
from services.common.errors import InvalidInput
from services.common.hosting import Engines
from services.common.server import Service
from services.llm import engines, prompting
from services.llm.answers import passages_for
from services.llm.engine import LlmEngine, Message, ReplyOptions, Role
from services.llm.language import reply_language
from services.llm.persona import SHIPPED, Persona, Personas
from services.llm.settings import LlmSettings

_ROLES = {llm_pb2.ROLE_USER: Role.USER, llm_pb2.ROLE_ASSISTANT: Role.ASSISTANT}


class LlmServicer(Service, llm_pb2_grpc.LlmServiceServicer):
    """Writes the avatar's side of a conversation."""

    full_name = "visavis.llm.v1.LlmService"
    engine_package = engines
    engines: Engines[LlmEngine]

    def __init__(self, settings: LlmSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._personas = Personas(*filter(None, [settings.personas, SHIPPED]))

    def register(self, server: grpc.aio.Server) -> None:
        llm_pb2_grpc.add_LlmServiceServicer_to_server(self, server)

    def load(self) -> None:
        super().load()
        for name in {self._settings.default_persona, *self._personas.names()}:
            self._personas.get(name)  # indexes its documents; a default that is not there shows at once

    async def GetInfo(self, request: llm_pb2.GetInfoRequest, context: object) -> llm_pb2.GetInfoResponse:
        personas = await asyncio.to_thread(lambda: [self._personas.get(name) for name in self._personas.names()])
        default = self._settings.default_persona
        return llm_pb2.GetInfoResponse(
            info=await asyncio.to_thread(service_info, self.engines),
            personas=[
                llm_pb2.Persona(
                    name=one.name,
                    title=one.title,
                    greetings=one.greetings,
                    hotwords=one.hotwords,
                    languages=one.speaks,
                )
                for one in sorted(personas, key=lambda one: (one.name != default, one.name))
            ],
        )

    async def Reply(
        self, request: llm_pb2.ReplyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[llm_pb2.ReplyResponse]:
        dialogue = self._dialogue(request)
        persona = await asyncio.to_thread(self._personas.get, request.persona or self._settings.default_persona)
        said = [message.text for message in dialogue if message.role is Role.USER]
        language = reply_language(request.language, said, persona.languages[0])
        options = await asyncio.to_thread(self._options, persona, dialogue, language, context.time_remaining())
        remembered = prompting.remembered(dialogue, self._settings.history_characters)
        async with self.engines.use(request.engine, "engine") as engine:
            info = engine.info()
            model = info.version if Capability.LANGUAGE_MODEL in info.capabilities else ""
            header = llm_pb2.ReplyHeader(engine=info.name, model=model, language=language)
            yield llm_pb2.ReplyResponse(header=header)
            async with aclosing(engine.reply(remembered, options)) as deltas:
                async for delta in deltas:
                    yield llm_pb2.ReplyResponse(delta=delta)

    def _options(
        self, persona: Persona, dialogue: list[Message], language: str, remaining_s: float | None
    ) -> ReplyOptions:
        return ReplyOptions(
            system_prompt=prompting.system_prompt(persona, language, passages_for(persona, dialogue, language)),
            persona=persona,
            language=language,
            max_tokens=self._settings.max_tokens,
            temperature=self._settings.temperature,
            patience_s=math.inf if remaining_s is None else remaining_s,
        )

    def _dialogue(self, request: llm_pb2.ReplyRequest) -> list[Message]:
        """The messages, checked."""
        for message in request.messages:
            if message.role not in _ROLES:
                raise InvalidInput("A message has no role.", reason="ROLE_MISSING", field="messages.role")
        if not request.messages or request.messages[-1].role != llm_pb2.ROLE_USER:
            raise InvalidInput("The last message must be the user's.", reason="USER_LAST", field="messages")
        said = request.messages[-1].text
        if not said.strip():
            raise InvalidInput("Say or type something.", reason="EMPTY_TEXT", field="messages.text")
        limit = self._settings.max_message_characters
        if len(said) > limit:
            wrong = f"The message is longer than {limit} characters. Shorten it."
            values = {"max": str(limit)}
            raise InvalidInput(wrong, reason="TEXT_TOO_LONG", field="messages.text", values=values)
        dialogue = [Message(_ROLES[message.role], message.text) for message in request.messages]
        return [message for message in dialogue if message.text.strip()]
