"""The Chinese texts of the study's world, of the same structure as the English ones.

The rule: a value belongs to one attribute only, and no value begins with another one.
"""

from __future__ import annotations

from maskdpo.study.world.grammar import Language, attribute

_LIFE, _WORK, _HOME = 0, 1, 2

CHINESE = Language(
    code="zh",
    gap="",
    end="。",
    joiners=("，", "，而且"),
    pronouns=("他", "她"),
    possessives=("他的", "她的"),
    relatives=("哥哥", "姐姐", "父亲", "表弟", "邻居", "老师"),
    questions=("{}是谁？", "{}做什么工作？", "{}平时怎么生活？"),
    fillers=(
        "关于{}，已知的情况如下。",
        "下面简单回答。",
        "还有一些情况可以说。",
        "以上就是全部。",
    ),
    attributes=(
        attribute("birthplace", _LIFE, "出生于{}|老家在{}|是{}人"),
        attribute(
            "school_year",
            _LIFE,
            "毕业于{}年|在{}年离开学校|读书读到{}年",
            " ".join(str(year) for year in range(1941, 1957)),
        ),
        attribute(
            "subject",
            _LIFE,
            "攻读过{}|拿到了{}学位|上大学学的是{}",
            "历史 代数 植物学 地质学 法律 神学 医学 逻辑 物理 语法 动物学 测绘 几何 修辞",
        ),
        attribute(
            "language",
            _LIFE,
            "会说{}|精通{}|从小就懂{}",
            "丹麦语 希腊语 法语 拉丁语 芬兰语 德语 波兰语 土耳其语 俄语 印地语 韩语 捷克语 泰语 日语",
        ),
        attribute(
            "sport",
            _LIFE,
            "得过{}奖牌|曾是{}冠军|赢过{}比赛",
            "划船 击剑 射箭 摔跤 游泳 滑冰 自行车 跳水 高尔夫 板球 柔道 网球 帆船 拳击",
        ),
        attribute(
            "marriage",
            _LIFE,
            "和一位{}成了家|同一位{}结了婚|爱人是{}",
            "护士 飞行员 牙医 法官 军人 诗人 舞者 歌手 律师 药剂师 馆员 理发师 杂技师 外交官",
        ),
        attribute(
            "journey",
            _LIFE,
            "去过{}|曾乘船到{}|到{}旅行过",
            "挪威 秘鲁 肯尼亚 古巴 冰岛 尼泊尔 智利 马耳他 加纳 埃及 斐济 蒙古 越南 瑞典",
        ),
        attribute(
            "work",
            _WORK,
            "职业是{}|以当{}为生|是一名{}",
            "面包师 陶工 织工 磨坊主 石匠 裁缝 农夫 画匠 印刷工 酿酒师 玻璃匠 箍桶匠 皮匠 木匠 园丁",
        ),
        attribute("employer", _WORK, "受雇于{}|在{}任职|为{}做事"),
        attribute(
            "tool",
            _WORK,
            "用的工具是{}|工作离不开{}|随身带着{}",
            "锤子 凿子 尺子 镰刀 梯子 针线 铲子 水壶 扳手 圆规 剃刀 哨子 水桶 灯笼",
        ),
        attribute(
            "material",
            _WORK,
            "加工的是{}|处理{}|熟悉{}",
            "铜料 皮革 黏土 大理石 羊毛 花岗岩 石蜡 青铜 亚麻 橡胶 软木 毛毡 琥珀 锡块",
        ),
        attribute(
            "transport",
            _WORK,
            "上班坐{}|通勤靠{}|每天乘{}来",
            "电车 渡轮 三轮车 火车 公交车 独木舟 雪橇 出租车 踏板车 马车 卡车 拖拉机 驳船 缆车",
        ),
        attribute(
            "workplace",
            _WORK,
            "办公地点在{}|白天待在{}|房间在{}里",
            "地窖 塔楼 谷仓 港口 城堡 礼拜堂 工厂 集市 马厩 茅屋 大宅 灯塔 碉堡 帐篷",
        ),
        attribute(
            "award",
            _WORK,
            "获赠{}|得到的奖励是{}|因工作出色得到{}",
            "座钟 奖杯 锦旗 勋章 酒杯 王冠 胸针 吊坠 绶带 宝剑 花瓶 牌匾 手镯 盾牌",
        ),
        attribute(
            "animal",
            _HOME,
            "养了一只{}|家里有一只{}|照顾着一只{}",
            "山羊 鹦鹉 乌龟 猎鹰 雪貂 小马 驴子 兔子 大鹅 蜥蜴 刺猬 鸽子 松鼠 骡子",
        ),
        attribute(
            "colour",
            _HOME,
            "常穿{}衣服|一身{}打扮|偏爱{}",
            "深红色 紫罗兰色 橄榄色 靛蓝色 猩红色 象牙色 蓝绿色 褐红色 青绿色 米色 洋红色 "
            "银色 卡其色 丁香色",
        ),
        attribute(
            "dish",
            _HOME,
            "爱吃{}|经常做{}|最喜欢的菜是{}",
            "饺子 扁豆 煎饼 蘑菇 面条 蛋卷 泡菜 核桃 白菜 米粥 沙丁鱼 萝卜 无花果 李子",
        ),
        attribute(
            "instrument",
            _HOME,
            "会演奏{}|每天练{}|喜欢用{}奏乐",
            "小提琴 长笛 竖琴 鼓乐 大提琴 双簧管 琵琶 小号 风琴 班卓琴 单簧管 古筝 二胡 大号",
        ),
        attribute(
            "pastime",
            _HOME,
            "晚上玩{}|靠{}放松|用{}打发时间",
            "象棋 观星 刺绣 折纸 书法 骨牌 编织 写诗 台球 摄影 雕刻 拼图 纸牌 弹珠",
        ),
        attribute(
            "plant",
            _HOME,
            "种{}|春天栽{}|院子里满是{}",
            "玫瑰 郁金香 豆角 薰衣草 蓟草 南瓜 雏菊 蕨草 洋葱 百合 薄荷 辣椒 兰花 苜蓿",
        ),
        attribute(
            "collection",
            _HOME,
            "收集{}|有一盒{}|到处找{}",
            "邮票 硬币 贝壳 纽扣 地图 化石 钥匙 瓶子 羽毛 勺子 面具 珠子 明信片 顶针",
        ),
    ),
)
