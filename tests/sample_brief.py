"""A brief as long and as awkward as real ones, in both languages, for the renderers' tests."""

from __future__ import annotations

from assistant.strategy.types import (
    Bar,
    Block,
    Brief,
    Bullets,
    Chart,
    Dot,
    Heading,
    Line,
    PageBreak,
    Paragraph,
    SourceEntry,
    SourceList,
    Table,
    Words,
)
from assistant.types import Language

HOSTILE = (
    'He wrote: "see [1]" #eval("1+1") $x^2$ @source-3 <script>alert(1)</script> a|b *bold* '
    r"_it_ `code` \textbf{x} \[y\] [link](http://e.com) &lt; ~~gone~~ C:\new\table {{x}} //c /*d*/"
)

_LEAD = Words(
    "华东精工未来十二个月应先做三个用例：售后知识问答、报价单审核与质检报告起草；预计投入186万元，"
    "第十四个月收回成本[1][A2]。",
    "Over the next twelve months Huadong Precision should build three use cases first: answers "
    "for after-sales engineers, checking of quotations and drafting of inspection reports. They "
    "cost about CNY 1.86m and pay back in month fourteen [1][A2].",
)
_LONG = Words(
    "公司现有约四万二千份售后工单和三千二百份技术手册，其中八成以上为可检索的电子文档，已由信息部统一存放[2][I1]。"
    "访谈显示，一线工程师平均每张工单花费二十三分钟查找资料，而重复问题约占全部来电的百分之四十一[I5]。"
    "据此估算，若问答助手能够解决其中一半，每年可以节省约5600个工时；这一估算以“工程师愿意采用”为前提，"
    "尚未得到部门负责人确认[A2]。模型在GPU服务器上私有部署，所有数据不出内网，符合《数据安全管理办法》第12条的要求[3]。",
    "The company holds about 42,000 service tickets and 3,200 technical manuals; more than four in "
    "five are searchable electronic documents, kept in one place by the IT department [2][I1]. "
    "Engineers told us that they spend 23 minutes a ticket looking for material, and that repeated "
    "questions make up 41% of all calls [I5]. If the assistant settles half of these, about 5,600 "
    "hours a year are saved; this assumes that engineers take it up, which the head of department "
    "has not confirmed [A2]. The model runs on the company's own GPU server and no data leave the "
    "internal network, as article 12 of the Data Security Rules demands [3].",
)
_FINDING = Words(
    "数据基础是最短的一块板：工单的原因分类缺失率为37%，不补齐就无法评价回答是否正确[4]。",
    "Data are the weakest point: 37% of tickets lack a cause, and without it nobody can tell "
    "whether an answer was right [4].",
)
_NOTE = Words(
    "注：金额均为含税人民币，按2026年第三季度市场价估算；括号内为低、高两种情形[A1]。",
    "Note: amounts are in CNY including tax, at market prices of the third quarter of 2026; the "
    "low and high cases stand in brackets [A1].",
)
_STEPS = tuple(
    Words(zh, en)
    for zh, en in (
        (
            "十二月底前由总经理签署立项书，并任命产品负责人[5]。",
            "Have the managing director sign the charter and name a product owner by the end of "
            "December [5].",
        ),
        (
            "两周内补齐最近一年工单的原因分类，抽样复核一致率达到90%[4][6]。",
            "Within two weeks complete the causes of last year's tickets; 90% agreement on a "
            "sample [4][6].",
        ),
        (
            "用二百道真实问题比较三个候选模型，再决定是否采购服务器[7]。",
            "Compare three candidate models on 200 real questions before any server is bought [7].",
        ),
    )
)
_USES = tuple(
    Words(zh, en)
    for zh, en in (
        ("售后知识问答", "Answers for after-sales engineers"),
        ("报价单审核", "Checking of quotations"),
        ("质检报告起草", "Drafting inspection reports"),
        ("合同条款比对", "Comparing contract clauses"),
        ("招聘简历初筛", "First screening of applications"),
        ("会议纪要", "Minutes of meetings"),
        ("设备故障预测", "Predicting machine failures"),
        ("多语种产品手册翻译", "Translation of product manuals into five languages"),
    )
)
_REASON = Words(
    "资料齐全、问题重复度高，且回答可由工程师当场核对；即使答错也不会直接影响客户[2]",
    "Material is complete, questions repeat, and an engineer checks each answer on the spot; a "
    "wrong one does not reach the customer [2]",
)
_AREAS = tuple(
    Words(zh, en)
    for zh, en in (
        ("战略与领导", "Strategy and leadership"),
        ("数据", "Data"),
        ("技术与基础设施", "Technology and infrastructure"),
        ("人才与组织", "People and organisation"),
        ("治理与合规", "Governance and compliance"),
        ("应用与流程", "Use and processes"),
    )
)
_PHASES = (Words("准备", "Prepare"), Words("试点", "Pilot"), Words("推广", "Roll out"))
_TASKS = (
    (Words("立项与分工", "Charter and roles"), 0, 2, 0),
    (Words("补齐工单原因分类", "Complete the tickets' causes"), 1, 5, 0),
    (Words("评审点一：数据达标", "Gate 1: data good enough"), 5, 5, 0),
    (Words("选型与测试集", "Model choice and test set"), 4, 9, 1),
    (Words("售后问答试点（二十名工程师）", "Pilot with twenty engineers"), 8, 18, 1),
    (Words("评审点二：正确率不低于85%", "Gate 2: 85% of answers right"), 18, 18, 1),
    (Words("全员推广与培训", "Roll-out and training"), 19, 34, 2),
    (Words("报价单审核上线", "Quotation checks go live"), 26, 40, 2),
    (Words("评审点三：是否追加投资", "Gate 3: invest further?"), 40, 40, 2),
)
_RISKS = tuple(
    Words(zh, en)
    for zh, en in (
        ("工程师不采用", "Engineers do not use it"),
        ("回答出错未被发现", "Wrong answers go unnoticed"),
        ("客户数据泄露", "Customer data leak"),
        ("关键人员离职", "A key person leaves"),
        ("服务器交付延期", "The server arrives late"),
        ("费用超支", "Costs overrun"),
        ("监管要求变化", "The rules change"),
    )
)


def sample_brief(language: Language) -> Brief:
    """Return the sample in a language."""

    def say(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    blocks: tuple[Block, ...] = (
        *_summary(language),
        PageBreak(),
        Heading(say("一、公司现状与就绪度", "1 Where the company stands")),
        Paragraph(_LONG.in_(language)),
        readiness(language),
        Paragraph(_FINDING.in_(language), "finding"),
        Heading(say("数据", "Data"), 2),
        Paragraph(_LONG.in_(language)),
        Paragraph(_LONG.in_(language)),
        Paragraph(HOSTILE),
        Heading(say("二、用例", "2 Use cases")),
        Paragraph(_LONG.in_(language)),
        matrix(language),
        uses(language),
        Paragraph(_NOTE.in_(language), "note"),
        Heading(say("三、路线图", "3 Roadmap")),
        Bullets(tuple(step.in_(language) for step in _STEPS), numbered=True),
        gantt(language),
        Heading(say("四、费用与收益", "4 Costs and returns")),
        Paragraph(_LONG.in_(language)),
        costs(language),
        money(language),
        Heading(say("五、风险", "5 Risks")),
        risks(language),
        Bullets(tuple(f"{risk.in_(language)} [{n + 1}]" for n, risk in enumerate(_RISKS))),
        Bullets((HOSTILE, _LONG.in_(language)), numbered=True),
        PageBreak(),
        *_sources(language),
        PageBreak(),
    )
    return Brief(
        title=say("大模型应用战略建议书", "Large-model strategy: a proposal to the board"),
        subtitle=say("华东精工股份有限公司", "Huadong Precision Co., Ltd."),
        date="2026-11-20",
        language=language,
        blocks=blocks,
    )


def _summary(language: Language) -> tuple[Block, ...]:
    zh = language == "zh"
    return (
        Heading("结论" if zh else "In short"),
        Paragraph(_LEAD.in_(language), "lead"),
        Bullets(tuple(step.in_(language) for step in _STEPS), numbered=True),
        Paragraph(_FINDING.in_(language), "finding"),
        Table(
            "三个用例的投入与收益" if zh else "What the three use cases cost and bring",
            ("用例", "投入（万元）", "年收益（万元）", "回本（月）")
            if zh
            else ("Use case", "Cost (CNY k)", "Gain a year (CNY k)", "Payback (months)"),
            tuple(
                (
                    use.in_(language),
                    f"{620 - 90 * n:,} [A{n + 1}]",
                    f"{480 + 40 * n:,}",
                    str(14 + n),
                )
                for n, use in enumerate(_USES[:3])
            ),
            (4, 2, 2, 2),
            (False, True, True, True),
        ),
        Paragraph(_LONG.in_(language)),
        Paragraph(_NOTE.in_(language), "note"),
    )


def readiness(language: Language) -> Chart:
    note = Words("缺少原因分类，37%的工单无法评价", "37% of tickets lack a cause")
    return Chart(
        "readiness",
        "六个方面的就绪度（0–5级）" if language == "zh" else "Readiness in six areas (levels 0–5)",
        x_label="成熟度等级" if language == "zh" else "Level",
        bars=tuple(
            Bar(area.in_(language), 0, level, note=note.in_(language) if level < 3 else "")
            for area, level in zip(_AREAS, (3.5, 1.5, 3, 2.25, 4, 0), strict=True)
        ),
    )


def matrix(language: Language) -> Chart:
    at = ((4, 5), (4, 4), (4, 4), (3, 4), (2, 2), (5, 2), (1, 4), (4, 4))
    zh = language == "zh"
    return Chart(
        "matrix",
        "用例的价值与可行性" if zh else "Value and feasibility of the use cases",
        x_label="可行性" if zh else "Feasibility",
        y_label="价值" if zh else "Value",
        dots=tuple(
            Dot(str(n + 1), x, y, size=(8 - n) / 8, group=n % 3, name=_USES[n].in_(language))
            for n, (x, y) in enumerate(at)
        ),
        groups=("先做", "再做", "暂缓") if zh else ("Now", "Next", "Later"),
    )


def gantt(language: Language) -> Chart:
    zh = language == "zh"
    note = "信息部、售后部" if zh else "IT, after-sales"
    return Chart(
        "gantt",
        "四十周的路线图" if zh else "A roadmap of forty weeks",
        x_label="周" if zh else "Week",
        bars=tuple(
            Bar(task.in_(language), start, end, group, note if n % 2 else "")
            for n, (task, start, end, group) in enumerate(_TASKS)
        ),
        groups=tuple(phase.in_(language) for phase in _PHASES),
    )


def costs(language: Language) -> Chart:
    zh = language == "zh"
    names = (
        ("私有部署", "云端服务", "混合") if zh else ("Own server", "Cloud service", "Both, mixed")
    )
    lines = []
    for name, first, monthly in zip(names, (900_000, 60_000, 400_000), (40, 99, 71), strict=True):
        likely = tuple(first + monthly * 1000 * month for month in range(24))
        low, high = (tuple(value * share for value in likely) for share in (0.8, 1.3))
        lines.append(Line(name, likely, low, high))
    return Chart(
        "costs",
        "累计费用，含低、高两种情形" if zh else "Cumulative costs with their low and high cases",
        x_label="月" if zh else "Month",
        y_label="累计费用（万元）" if zh else "Cumulative cost (CNY)",
        lines=tuple(lines),
    )


def risks(language: Language) -> Chart:
    zh = language == "zh"
    at = ((4, 4), (3, 5), (2, 5), (3, 3), (3, 3), (3, 3), (1, 2))
    return Chart(
        "risks",
        "风险的可能性与影响" if zh else "Likelihood and impact of the risks",
        x_label="可能性" if zh else "Likelihood",
        y_label="影响" if zh else "Impact",
        dots=tuple(
            Dot(str(n + 1), x, y, name=_RISKS[n].in_(language)) for n, (x, y) in enumerate(at)
        ),
        groups=("高", "中", "低") if zh else ("High", "Middle", "Low"),
    )


def uses(language: Language) -> Table:
    """Return a table of eight columns, some cells long, that runs over a page."""
    zh = language == "zh"
    columns = (
        ("序", "用例", "部门", "价值", "可行性", "得分", "理由", "前提")
        if zh
        else ("No.", "Use case", "Dept.", "Value", "Feasibility", "Score", "Reason", "Condition")
    )
    return Table(
        "候选用例及评分" if zh else "Candidate use cases and their scores",
        columns,
        tuple(
            (
                str(n + 1),
                _USES[n % 8].in_(language),
                ("售后部" if zh else "After-sales") if n % 2 else "IT",
                str(5 - n % 3),
                str(4 - n % 2),
                f"{4.5 - n / 4:.2f}",
                _REASON.in_(language),
                "工单数据表 service_tickets_2026_full_export.xlsx 已脱敏 [I1]"
                if zh
                else "The table service_tickets_2026_full_export.xlsx is anonymised [I1]",
            )
            for n in range(12)
        ),
        (1, 3, 2, 1.4, 1.8, 1.6, 5.5, 4),
        (True, False, False, True, True, True, False, False),
    )


def money(language: Language) -> Table:
    """Return a table of six columns that gives no widths."""
    zh = language == "zh"
    columns = (
        ("项目", "低", "可能", "高", "单位", "算法")
        if zh
        else ("Item", "Low", "Likely", "High", "Unit", "Formula")
    )
    return Table(
        "费用明细" if zh else "The costs, item by item",
        columns,
        tuple(
            (
                _USES[n].in_(language) + (" a|b" if n == 1 else ""),
                f"{(n + 2) * 80_000:,}",
                f"{(n + 2) * 100_000:,}",
                f"{(n + 2) * 130_000:,}",
                "元" if zh else "CNY",
                f"{n + 2} × 100 × 1,000 [A{n + 1}]",
            )
            for n in range(6)
        ),
        numeric=(False, True, True, True, False, False),
    )


def _sources(language: Language) -> tuple[Block, ...]:
    zh = language == "zh"
    quote = (
        "企业应当先从数据基础较好、错误代价较低的场景入手 [1]，再逐步推广 <到> #核心 业务。"
        if zh
        else "Companies should begin where data are good and errors are cheap [1], and move on to "
        "<core> #business later."
    )
    place = (
        "《企业如何制定大模型应用战略》 · 第{}节" if zh else "How to set a strategy · section {}"
    )
    told = "访谈：售后部经理，{}" if zh else "Interview: head of after-sales, {}"
    return (
        Heading("来源" if zh else "Sources"),
        SourceList(
            tuple(
                SourceEntry(str(n), place.format(n), quote if n % 3 else "") for n in range(1, 31)
            )
        ),
        Heading("假设" if zh else "Assumptions", 2),
        SourceList(
            tuple(
                SourceEntry(f"A{n}", "工程师采用率不低于60%" if zh else "60% of engineers use it")
                for n in range(1, 7)
            )
        ),
        Heading("访谈内容" if zh else "Inputs", 2),
        SourceList(tuple(SourceEntry(f"I{n}", told.format(n), HOSTILE) for n in range(1, 6))),
    )
