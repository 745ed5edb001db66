"""Conversations with the shipped persona and with one made for the test."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import dialogue
from services.common.engine import EngineSettings
from services.llm.answers import answer, passages_for
from services.llm.documents import sentences
from services.llm.engine import Message, ReplyOptions, Role
from services.llm.engines.knowledge import Engine
from services.llm.language import language_of, reply_language
from services.llm.persona import SHIPPED, Persona, Personas, read_persona
from services.llm.smalltalk import split_courtesies


@pytest.fixture(scope="module")
def visavis() -> Persona:
    return Personas(SHIPPED).get("visavis")


def converse(persona: Persona, *said: str) -> list[str]:
    """The persona's side of a conversation."""
    dialogue: list[Message] = []
    for text in said:
        dialogue.append(Message(Role.USER, text))
        language = reply_language("", [message.text for message in dialogue if message.role is Role.USER])
        dialogue.append(Message(Role.ASSISTANT, answer(persona, dialogue, language)))
    return [message.text for message in dialogue if message.role is Role.ASSISTANT]


QUESTIONS = [
    ("What is Visavis?", "platform for digital humans"),
    ("who are you", "I am Visavis"),
    ("what can you do", "three things"),
    ("how should I film the video", "Sit facing the camera"),
    ("what light should I use", "steady light"),
    ("how long must the video be", "One to two minutes"),
    ("how do I make my own avatar?", "Open the train page"),
    ("how long does training take", "eight minutes"),
    ("my video was refused, why?", "The message names the second"),
    ("can I use a photo", "A photo will do"),
    ("how do I make a talking video from text", "Open the generate page"),
    ("can I interrupt you", "interrupt at any time"),
    ("why can't it hear me", "Allow the browser"),
    ("how does voice cloning work", "bends its pitch"),
    ("do I need a GPU", "Everything works without a graphics card"),
    ("what hardware does it need", "two processor cores"),
    ("do you need the internet", "work offline"),
    ("how do I connect ollama", "OpenAI protocol"),
    ("can I use chatgpt", "OpenAI protocol"),
    ("how do I add an engine", "one Python file"),
    ("which languages do you understand", "English and Chinese"),
    ("can it run on a cluster", "more than one machine"),
    ("how many people can chat at the same time", "four answers are drawn at the same time"),
    ("what are the weaknesses", "looks best from the front"),
    ("is my data safe", "stay on the machine"),
    ("whose voice may I use", "Use only your own"),
    ("is it free?", "Visavis is free"),
    ("does it work on windows", "Docker"),
    ("你是谁", "我是 Visavis"),
    ("你能做什么", "三件事"),
    ("视频怎么拍", "面对镜头"),
    ("怎么训练一个数字人", "打开训练页面"),
    ("训练要多长时间", "八分钟"),
    ("视频多长比较好", "一到两分钟"),
    ("没有显卡可以吗", "没有显卡也行"),
    ("需要什么样的电脑", "双核处理器"),
    ("我的数据会不会泄露", "只保存在运行 Visavis 的机器上"),
    ("用别人的声音可以吗", "得到本人同意"),
    ("可以用大模型吗", "OpenAI 协议"),
    ("怎么和你聊天", "打开对话页面"),
    ("能不能打断你", "随时可以打断"),
    ("为什么听不见我说话", "麦克风"),
    ("收费吗", "免费"),
    ("字幕怎么加", "选择字幕"),
    ("怎么加引擎", "一个 Python 文件"),
]


@pytest.mark.parametrize(("question", "expected"), QUESTIONS)
def test_knows_visavis(visavis, question, expected):
    (reply,) = converse(visavis, question)
    assert expected in reply
    assert len(sentences(reply)) <= 3


@pytest.mark.parametrize(("question", "expected"), QUESTIONS)
def test_an_earlier_subject_does_not_get_in_the_way(visavis, question, expected):
    assert (
        expected
        in converse(visavis, "Visavis 是什么？" if language_of(question) == "zh" else "What is Visavis?", question)[1]
    )


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What do I need to film an avatar?", "Sit facing the camera"),
        ("Tell me everything about training", "Open the train page"),
        ("成绩单", "专门用来考试"),
        ("报告卡是什么", "专门用来考试"),
        ("怎么看评测报告", "专门用来考试"),
    ],
)
def test_questions_as_people_ask_them(visavis, question, expected):
    assert expected in converse(visavis, question)[0]


def test_everything_is_more_than_an_answer_and_keeps_to_its_subject(visavis):
    for question, brief, expected in [
        ("Tell me everything about training", "How do I train an avatar?", "eight minutes"),
        ("详细介绍一下训练", "怎么训练数字人？", "八分钟"),
    ]:
        (everything,) = converse(visavis, question)
        assert len(sentences(everything)) > len(sentences(converse(visavis, brief)[0]))
        assert expected in everything


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("half", "cases", "first", "wrong"), [("tuned", 300, 0.85, 0.03), ("held-out", 50, 0.5, 0.2)])
def test_answers_what_people_ask(visavis, half, cases, first, wrong, language):
    """Floors below what docs/benchmarks.md says; `python -m bench.dialogue --failures tuned` shows what went wrong."""
    asked = [case for case in dialogue.read(half) if case.language == language]
    shares = dialogue.accuracy(list(dialogue.tried(visavis, asked)))
    assert len(asked) >= cases
    assert shares["first"] >= first
    assert shares["wrong"] <= wrong
    assert shares["declined"] >= 0.9


def test_every_section_has_its_twin_in_the_other_language(visavis):
    english, chinese = ([one.section for one in visavis.knowledge[tag].passages] for tag in ("en", "zh"))
    assert english == chinese
    assert all(english)
    asked = [case for half in dialogue.HALVES for case in dialogue.read(half)]
    assert set().union(*(case.sections for case in asked)) <= set(english)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_section_can_be_said_and_answers_its_own_questions(visavis, language):
    knowledge = visavis.knowledge[language]
    for passage in knowledge.passages:
        assert len(passage.sentences) <= 3
        assert [knowledge.answer_to(question) for question in passage.questions] == [passage] * len(passage.questions)


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "What's the weather like today?",
        "Tell me a joke",
        "How do I bake bread?",
        "Who won the world cup?",
        "今天天气怎么样",
        "法国的首都是哪里",
        "给我讲个笑话",
    ],
)
def test_says_honestly_what_it_does_not_know(visavis, question):
    (reply,) = converse(visavis, question)
    assert reply.startswith(("I do not know that. I can tell you about", "这个我不知道。我可以讲讲"))
    assert language_of(reply) == language_of(question)


@pytest.mark.parametrize("question", ["How tall is Mount Everest?", "珠穆朗玛峰有多高"])
def test_is_at_a_loss_in_other_words_each_time(visavis, question):
    replies = converse(visavis, *[question] * 5)
    assert len(set(replies)) == 5
    known = visavis.knows(language_of(question))
    assert all(known.passages[0].text not in reply for reply in replies)


def test_small_talk_may_run_on_without_a_comma(visavis):
    replies = converse(
        visavis, "What is Visavis?", "I see thank you", "好的谢谢再见", "uh what", "can you say that again"
    )
    assert replies[1] == "You are welcome."
    assert replies[2].startswith("再见")
    assert replies[3].startswith("Let us try a simpler question. You could ask me: ")
    assert replies[4] == replies[3]
    assert split_courtesies("what voices are there") == ([], "what voices are there")


def test_a_question_in_two_parts_gets_two_answers(visavis):
    (reply,) = converse(visavis, "How long does training take, and can I get subtitles?")
    assert "eight minutes" in reply
    assert "subtitles" in reply


def test_understands_slips_of_the_pen(visavis):
    assert "Open the train page" in converse(visavis, "how do i trian an avtar")[0]
    assert "Choose subtitles" in converse(visavis, "subtitels")[0]


def test_follow_ups_lean_on_what_was_said(visavis):
    replies = converse(visavis, "How do I train an avatar?", "How long does it take?", "And on a GPU?")
    assert "eight minutes" in replies[1]
    assert "graphics card" in replies[2]
    replies = converse(visavis, "How do I generate a video?", "How long does it take?")
    assert "half a minute" in replies[1]
    assert "八分钟" in converse(visavis, "怎么训练数字人？", "要多久？")[1]
    assert "半分钟" in converse(visavis, "怎么生成视频？", "要多久？")[1]


def test_a_detail_that_was_said_before_is_repeated_alone(visavis):
    first, second = converse(visavis, "How do I record a good video?", "What about the light?")
    assert "steady light" in second
    assert len(second) < len(first)


def test_more_means_something_new(visavis):
    first, more, *_ = converse(visavis, "Do I need a GPU?", "Tell me more.")
    assert more != first
    assert not set(sentences(first)) & set(sentences(more))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What did I just ask?", "You asked: “How do I train an avatar”."),
        ("What was my last question?", "You asked: “How do I train an avatar”."),
        ("Do you remember what I asked first?", "You asked: “What is Visavis”."),
        ("What have we talked about so far?", "You asked: “What is Visavis”, then “How do I train an avatar”."),
        ("我刚才问了什么？", "你问的是：“How do I train an avatar”。"),
        ("我第一个问题是什么？", "你问的是：“What is Visavis”。"),
        ("我们都聊了些什么？", "你问的是：“What is Visavis”，然后是“How do I train an avatar”。"),
    ],
)
def test_the_talk_itself_is_known(visavis, question, expected):
    earlier = ("Hello.", "What is Visavis?", "How do I train an avatar?")
    assert converse(visavis, *earlier, question)[-1] == expected


def test_there_was_nothing_before_the_first_question(visavis):
    assert converse(visavis, "What did I just ask?")[-1] == "You have not asked me anything before."
    assert "Visavis" in converse(visavis, "What is Visavis?", "What did I do to deserve this?")[0]


def test_courtesies(visavis):
    replies = converse(visavis, "Hi there!", "Thanks a lot!", "Goodbye!", "你好", "谢谢你", "再见")
    assert replies[0].startswith("Hello, I am Visavis")
    assert replies[1] == "You are welcome."
    assert replies[2].startswith("Goodbye")
    assert replies[3].startswith("你好")
    assert replies[4] == "不客气。"
    assert replies[5].startswith("再见")


def test_a_question_after_a_courtesy_is_answered(visavis):
    assert "eight minutes" in converse(visavis, "Hello! How long does training take?")[0]
    assert "八分钟" in converse(visavis, "你好，训练需要多久？")[0]
    assert "面对镜头" in converse(visavis, "谢谢，那视频怎么拍？")[0]


@pytest.fixture
def gardener(tmp_path: Path) -> Persona:
    folder = tmp_path / "gardener"
    folder.mkdir()
    (folder / "persona.toml").write_text('title = "Rose"\nlanguages = ["en"]\n[greetings]\nen = "Good day."\n')
    (folder / "roses.md").write_text(
        "# Roses\n\nRoses are old plants. They came from Persia. Many people love them. "
        "**Water** them [deeply](http://x) once a week. Prune them in March with sharp `secateurs`. "
        "Feed them in May. Cover the roots before frost.\n\n"
        "| a | table |\n|---|---|\n\n```\ncode()\n```\n\n- Aphids: wash them off\n- Mildew needs air\n"
    )
    return read_persona(folder)


def test_picks_the_sentences_that_answer(gardener):
    (reply,) = converse(gardener, "When should I prune roses?")
    assert "Prune them in March with sharp secateurs." in reply
    assert "Persia" not in reply


def test_markdown_is_never_spoken(gardener):
    everything = " ".join(
        passage for passage in passages_for(gardener, [Message(Role.USER, "roses aphids water")], "en")
    )
    assert "Water them deeply once a week." in everything
    assert not set("*|`[]()#") & set(everything)
    assert "code" not in everything


def test_a_persona_without_topics_just_says_it_does_not_know(gardener):
    assert converse(gardener, "How do rockets fly?") == ["I do not know that."]


@pytest.fixture
def shop(tmp_path: Path) -> Persona:
    (tmp_path / "persona.toml").write_text('languages = ["en"]\n')
    (tmp_path / "shop.md").write_text(
        "# Shop\n\n## When do you open? {#hours}\n<!-- also: closing time;\nbusiness hours -->\nFrom nine to six.\n"
        "\n## Where are you?\n<!-- not for anybody -->\nIn the High Street.\n"
    )
    return read_persona(tmp_path)


def test_asks_back_when_it_nearly_understands_and_takes_a_yes(shop):
    asked, answered = converse(shop, "Christmas hours", "Yes please")
    assert asked == "I am not sure that I understand. Do you mean: When do you open?"
    assert answered == "From nine to six."


def test_other_ways_to_ask_are_searched_and_never_spoken(shop):
    hours, place = shop.knowledge["en"].passages
    assert (hours.section, hours.title, hours.heading) == ("hours", "Shop", "When do you open?")
    assert hours.also == ("closing time", "business hours")
    assert (place.section, place.also) == ("", ())
    assert converse(shop, "business hours", "closing time?", "anybody") == [
        "From nine to six.",
        "As I said: From nine to six.",
        "I do not know that. You could ask me: When do you open? Or: Where are you?",
    ]


def test_the_engine_streams_what_the_answer_says():
    engine = Engine(EngineSettings())
    engine.load()

    async def pieces(text: str, language: str) -> list[str]:
        options = ReplyOptions(system_prompt="", persona=Personas(SHIPPED).get("visavis"), language=language)
        return [piece async for piece in engine.reply([Message(Role.USER, text)], options)]

    english = asyncio.run(pieces("Hello", "en"))
    assert english[:2] == ["Hello, ", "I "]
    chinese = asyncio.run(pieces("你好", "zh"))
    assert chinese[0] == "你好，"
    assert len(chinese) >= 3
