"""Words that shape a question without saying what it is about."""

from __future__ import annotations

import re

_ENGLISH = """
a about across actually again against ago all allowed already also always am an and another any anything are aren't as
at be because been being believe bit both but by can can't come comes could couldn't did do does doesn't doing don't
done during each else ever every everything few for from get gets getting give go goes going got guess had happen
happens has hasn't have haven't he he's her here here's herself hey him himself his hmm how how's however i i'd i'll
i'm i've if in into is isn't it it's its itself just keep keeps kind know let let's like lot making many matter
matters may maybe me mean might mine more most much must my myself necessary need needed never no not now of off often
oh ok okay on once one ones only onto or our ourselves out over per please possible put quite rather really said say
saying says see shall she she's should shouldn't since so some somebody someone something still such supposed sure
take takes taking tell than that that'd that's the their them themselves then there there's these they they're thing
things think this those though through time to today tomorrow too took try trying uh um until up upon us use used
using very want wanted wants was wasn't we we're well were weren't what what'd what's when where where's whether which
while who who's whose why will with within without won't work works would wouldn't yes yesterday you you're you've
your yours yourself
"""
_CHINESE = """
请问 请 什么样 什么 怎么样 怎么 怎样 如何 为什么 为何 哪些 哪个 哪里 哪儿 可不可以 可以 会不会 要不要 能不能 能够
能否 行不行 好不好 是不是 是否 有没有 需不需要 需要 想要 我想 一下 一个 一些 一定 告诉 介绍 知道 了解 关于 你们
我们 他们 它们 你 我 他 她 它 这个 那个 这些 那些 这 那 的话 的 了 吗 呢 吧 啊 呀 嘛 和 与 跟 或者 还是 以及 是
在 被 就 都 也 还 很 比较 应该 必须 一般 大概 左右 到底 究竟 多少 时候 时 说说 讲讲 帮我 怎么办 真的 其实 有点
够不够 够 行 该 最好
哪款 哪种 哪 刚才 今天 明天 昨天 之内 以内
"""
WORDS = frozenset(_ENGLISH.split())
# The longest first, so that none hides another.
PHRASES = re.compile("|".join(sorted(_CHINESE.split(), key=len, reverse=True)))
# Characters that are mostly no more than grammar but also begin or end words, as 上 in 上传.
LIGHT = frozenset("不没个上里好用对说讲做会能有要想给把看放去来到得着过为叫完")
# What people put before or into a question while they think.
FILLERS = re.compile(
    r"^\s*((tell me about|(can|could) you (explain|tell me( about)?)|what about|how about|i mean|so|well|okay|ok|and"
    r"|but|uh|um|hmm|er|oh|please|hey|actually|basically|now|then|like|you know)\b[\s,]*)+"
    r"|\b(really|actually|just|please|exactly|uh|um)\b"
    r"|^(请|[给帮跟]我|能不能|可以)*(讲一?讲|说一?说|介绍(一下)?|告诉我|解释一下)|^那|到底|究竟|其实|请问|那么|的话|总是|老是|[啊呀呢吧嘛嗯哦额都些]",
    re.I,
)
