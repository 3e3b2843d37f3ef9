"""Markdown, down to the text of every block."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.ingest.load import Block, Metadata, Parsed, parse

Write = Callable[..., Parsed]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a text under a name and parse it."""

    def write_and_parse(name: str, text: str | bytes) -> Parsed:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return parse(path)

    return write_and_parse


def texts(parsed: Parsed) -> list[str]:
    return [block.text for block in parsed.blocks]


MARKDOWN = r"""---
title: 训练指南
language: zh
groups: [everyone, "it"]
source: 编者
reviewed: 2026-11
---

# 训练指南

模型训练需要**大量**数据，
包括[日志](https://example.com)和工单。
English lines
join with a space.

## 步骤

1. 收集数据
   - 日志
   - 工单
2. 清洗

   第二段

| 型号 | 显存 |
|---|---|
| L20 | 48 GB |
| A10 | |

> 引用一句。

### 公式

损失是 $L_1 * x_2 * y$，成本 $5 与 $10。

$$
- \log p_{i} \\
= 3
$$

```python
def f():
    return 1
```

<details><summary>更多</summary>隐藏内容<!-- 注释 --></details>

## 空节
"""


def test_markdown(write: Write) -> None:
    parsed = write("guide.md", MARKDOWN)
    assert parsed.metadata == Metadata("训练指南", "zh", ("everyone", "it"), "编者")
    steps, formula = ("训练指南", "步骤"), ("训练指南", "步骤", "公式")
    assert parsed.blocks == (
        Block(
            "模型训练需要大量数据，包括日志和工单。English lines join with a space.",
            ("训练指南",),
        ),
        Block("1. 收集数据\n  - 日志\n  - 工单\n2. 清洗\n第二段", steps),
        Block("型号：L20；显存：48 GB", steps),
        Block("型号：A10", steps),
        Block("引用一句。", steps),
        Block("损失是 $L_1 * x_2 * y$，成本 $5 与 $10。", formula),
        Block("$$\n- \\log p_{i} \\\\\n= 3\n$$", formula),
        Block("def f():\n    return 1", formula),
        Block("更多\n隐藏内容", formula),
        Block("空节", ("训练指南",)),
    )


def test_markdown_title_is_its_only_top_heading(write: Write) -> None:
    assert write("a.md", "# One\n\ntext\n\n# Two\n\ntext").metadata.title == ""
    assert write("b.md", "# One *x*\n\ntext\n\n## Two\n\ntext").metadata.title == "One x"
    assert write("c.md", "---\nA rule, not front matter\n---\n\ntext").metadata == Metadata()


def test_a_long_list_is_grouped(write: Write) -> None:
    parsed = write("list.md", "\n".join(f"- 第{n}项的说明文字，" + "长" * 100 for n in range(20)))
    assert 3 <= len(parsed.blocks) <= 7
    assert sum(text.count("- 第") for text in texts(parsed)) == 20
