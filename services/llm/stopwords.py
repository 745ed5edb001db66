"""Words that shape a question without saying what it is about."""

from __future__ import annotations

import re

_ENGLISH = """
a about actually all allowed also am an and any anything are as at be been being but by can can't could did do does
doesn't doing don't done else ever everything for from get give go got had happen happens has have he her him his how
i i'd i'll i'm i've if in into is isn't it it's its just kind know let let's like lot many matter matters may maybe me
mean might more much must my need no not now of off ok okay on one or our out over please possible put really say see
shall she should so some somebody someone something supposed sure tell than that that's the their them then there
these they thing things think this those time to too up us use used using very want was we well were what what's when
where whether which who whose why will with without work works would yes you you're your yours
"""
_CHINESE = """
请问 请 什么样 什么 怎么样 怎么 怎样 如何 为什么 为何 哪些 哪个 哪里 哪儿 可不可以 可以 会不会 要不要 能不能 能够
能否 行不行 好不好 是不是 是否 有没有 需不需要 需要 想要 我想 一下 一个 一些 一定 告诉 介绍 知道 了解 关于 你们
我们 他们 它们 你 我 他 她 它 这个 那个 这些 那些 这 那 的话 的 了 吗 呢 吧 啊 呀 嘛 和 与 跟 或者 还是 以及 是
在 被 就 都 也 还 很 比较 应该 必须 一般 大概 左右 到底 究竟 多少 时候 时 说说 讲讲 帮我 怎么办 真的 其实 有点
够不够 够 行 该
"""
WORDS = frozenset(_ENGLISH.split())
# The longest first, so that none hides another.
PHRASES = re.compile("|".join(sorted(_CHINESE.split(), key=len, reverse=True)))
# Characters that are mostly no more than grammar but also begin or end words, as 上 in 上传.
LIGHT = frozenset("不没个上里好用对说讲做会能有要想给把看放去来到得着过为")
