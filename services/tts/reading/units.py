"""Units of measurement and currencies, by their signs."""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """How a unit is called: one, several, and in Chinese."""

    one: str
    many: str
    chinese: str


def _regular(text: str) -> dict[str, Unit]:
    """From lines of signs, English name and Chinese name; several end in s."""
    units = {}
    for line in text.strip().splitlines():
        signs, english, chinese = (part.strip() for part in line.split("|"))
        head, _, tail = english.partition(" per ")
        many = f"{head}s per {tail}" if tail else f"{english}s"
        units.update({sign: Unit(english, many, chinese) for sign in signs.split()})
    return units


UNITS = _regular("""
    km | kilometer | 公里
    m | meter | 米
    cm | centimeter | 厘米
    mm | millimeter | 毫米
    μm µm um | micrometer | 微米
    nm | nanometer | 纳米
    km² km2 km^2 | square kilometer | 平方公里
    m² m2 m^2 ㎡ | square meter | 平方米
    cm² cm2 cm^2 | square centimeter | 平方厘米
    m³ m3 m^3 | cubic meter | 立方米
    cm³ cm3 cm^3 | cubic centimeter | 立方厘米
    kg ㎏ | kilogram | 千克
    g | gram | 克
    mg | milligram | 毫克
    μg µg | microgram | 微克
    t | ton | 吨
    l L | liter | 升
    ml mL | milliliter | 毫升
    kWh | kilowatt hour | 千瓦时
    W | watt | 瓦
    kW | kilowatt | 千瓦
    MW | megawatt | 兆瓦
    V | volt | 伏
    A | ampere | 安
    mAh | milliampere hour | 毫安时
    J | joule | 焦耳
    kJ | kilojoule | 千焦
    N | newton | 牛
    Pa | pascal | 帕
    kPa | kilopascal | 千帕
    kcal | kilocalorie | 千卡
    cal | calorie | 卡
    dB | decibel | 分贝
    KB kB | kilobyte | 千字节
    MB | megabyte | 兆字节
    GB | gigabyte | 吉字节
    TB | terabyte | 太字节
    px | pixel | 像素
    h hr hrs | hour | 小时
    min mins | minute | 分钟
    s sec secs | second | 秒
    ms | millisecond | 毫秒
    μs µs | microsecond | 微秒
    km/h kmh km/hr kph | kilometer per hour | 公里每小时
    m/s | meter per second | 米每秒
    m/s² m/s^2 m/s2 | meter per second squared | 米每二次方秒
    kg/m³ kg/m^3 | kilogram per cubic meter | 千克每立方米
    g/cm³ g/cm^3 | gram per cubic centimeter | 克每立方厘米
    mph | mile per hour | 英里每小时
    mi | mile | 英里
    yd yds | yard | 码
    lb lbs | pound | 磅
    oz | ounce | 盎司
    gal | gallon | 加仑
    tbsp | tablespoon | 汤匙
    tsp | teaspoon | 茶匙
    Mbps Mb/s | megabit per second | 兆比特每秒
    Gbps Gb/s | gigabit per second | 吉比特每秒
    kbps | kilobit per second | 千比特每秒
    MB/s | megabyte per second | 兆字节每秒
    GB/s | gigabyte per second | 吉字节每秒
    rpm | revolution per minute | 转每分钟
    fps | frame per second | 帧每秒
    dpi | dot per inch | 点每英寸
    Ω | ohm | 欧姆
    ha | hectare | 公顷
""")
UNITS |= {sign: Unit(f"{name}hertz", f"{name}hertz", chinese) for sign, name, chinese in (
    ("kHz", "kilo", "千赫"), ("MHz", "mega", "兆赫"), ("GHz", "giga", "吉赫"),
)}  # fmt: skip
UNITS |= {
    "Hz": Unit("hertz", "hertz", "赫兹"),
    "ft": Unit("foot", "feet", "英尺"),
    "in": Unit("inch", "inches", "英寸"),
    "″": Unit("inch", "inches", "英寸"),
    "℃": Unit("degree Celsius", "degrees Celsius", "摄氏度"),
    "°C": Unit("degree Celsius", "degrees Celsius", "摄氏度"),
    "° C": Unit("degree Celsius", "degrees Celsius", "摄氏度"),
    "ºC": Unit("degree Celsius", "degrees Celsius", "摄氏度"),
    "℉": Unit("degree Fahrenheit", "degrees Fahrenheit", "华氏度"),
    "°F": Unit("degree Fahrenheit", "degrees Fahrenheit", "华氏度"),
    "° F": Unit("degree Fahrenheit", "degrees Fahrenheit", "华氏度"),
    "°": Unit("degree", "degrees", "度"),
    "%": Unit("percent", "percent", ""),
    "‰": Unit("per mille", "per mille", ""),
}
TEMPERATURES = ("℃", "°C", "° C", "ºC", "℉", "°F", "° F", "°")

ONLY_CLOSE = ("in", "A", "N", "J")
"""Signs that are words or initials too: not where a space stands before them and a word behind."""


class Currency(NamedTuple):
    """How a currency and its hundredth are called: one, several, and in Chinese."""

    one: str
    many: str
    cent: str
    cents: str
    chinese: str
    chinese_cent: str


_DOLLAR = Currency("dollar", "dollars", "cent", "cents", "美元", "美分")
_EURO = Currency("euro", "euros", "cent", "cents", "欧元", "欧分")
_POUND = Currency("pound", "pounds", "penny", "pence", "英镑", "便士")
_YUAN = Currency("yuan", "yuan", "fen", "fen", "元", "分")
_YEN = Currency("yen", "yen", "sen", "sen", "日元", "钱")


def _dollar(country: str, chinese: str) -> Currency:
    return Currency(f"{country} dollar", f"{country} dollars", "cent", "cents", chinese, "分")


CURRENCIES = {
    "US$": _DOLLAR, "$": _DOLLAR, "＄": _DOLLAR, "USD": _DOLLAR,
    "€": _EURO, "EUR": _EURO,
    "£": _POUND, "￡": _POUND, "GBP": _POUND,
    "¥": _YUAN, "￥": _YUAN, "CNY": _YUAN, "RMB": _YUAN, "CN¥": _YUAN,
    "JPY": _YEN, "JP¥": _YEN,
    "HK$": _dollar("Hong Kong", "港元"), "HKD": _dollar("Hong Kong", "港元"),
    "A$": _dollar("Australian", "澳元"), "AUD": _dollar("Australian", "澳元"),
    "C$": _dollar("Canadian", "加元"), "CAD": _dollar("Canadian", "加元"),
    "CHF": Currency("Swiss franc", "Swiss francs", "centime", "centimes", "瑞士法郎", "生丁"),
    "₹": Currency("rupee", "rupees", "paisa", "paise", "卢比", "派萨"),
    "INR": Currency("rupee", "rupees", "paisa", "paise", "卢比", "派萨"),
    "₩": Currency("won", "won", "jeon", "jeon", "韩元", "钱"),
    "KRW": Currency("won", "won", "jeon", "jeon", "韩元", "钱"),
    "₽": Currency("ruble", "rubles", "kopeck", "kopecks", "卢布", "戈比"),
    "₿": Currency("bitcoin", "bitcoins", "cent", "cents", "比特币", "分"),
}  # fmt: skip
