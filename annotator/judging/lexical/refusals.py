"""Sentences that refuse, greet or say goodbye, as patterns in six languages.

The rule: every pattern is for a whole sentence, from its first word to its last, and none can match
a claim about the world.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SORRY_EN = (
    r"(?:(?:(?:i'm|i am|we're|we are)(?: so| very| really| truly)? sorry|sorry(?: about that)?"
    r"|(?:i|we) apologi[sz]e|my apologies|apologies|unfortunately|regrettably"
    r"|as an ai(?: language)?(?: model| assistant)?|at the moment|honestly|well|hmm)"
    r"[,.!;:]*(?: but)? ?)*"
)
_ABILITY_EN = (
    r"(?:can't|cannot|can not|couldn't|could not|won't|will not|won't be able to|'m not able to"
    r"|am not able to|are not able to|'m unable to|am unable to|are unable to|was unable to"
    r"|was not able to|wasn't able to|'m not allowed to|am not allowed to|'m not permitted to"
    r"|am not permitted to|'m not in a position to|must decline to|have to decline to|decline to"
    r"|refuse to|would rather not|'d rather not|prefer not to)"
)
_ACT_EN = (
    r"(?:really |currently |directly )?(?:help|assist|answer|respond|reply|provide|tell you"
    r"|give you|give (?:an|any|the) |share|say(?! that)|comment|verify|confirm|determine"
    r"|discuss|fulfil|fulfill|comply|complete|do that|do this|access|browse|offer|generate"
    r"|speculate|recommend|advise"
    r"|(?:find|locate) (?:(?:any|enough|the|an|more|that|this|relevant) )*"
    r"(?:information|answer|details|data|anything|sources?))"
)
_OPEN_EN = r"(?:who|what|when|where|which|whether|if|how (?:many|much|long|old|far|high|to))"
_ENGLISH = r"""
    (?:i|we) ?(?:really |honestly |just |simply |actually |currently |also |still )*
    (?:
        (?:don't|do not) (?:really |actually |currently )?know
            (?: (?:the answer|that|this|it|for (?:sure|certain)|enough|anything|much
                |about (?:that|this|it)
               |{open}\b)\b.*)?
        |{can} {act}.*
        |(?:have no|don't have|do not have|haven't got|lack|have not got) (?:any[ ]
            |enough |sufficient |the
            |much |specific |access to |necessary |reliable |personal |further |a |an[ ]
                |up-to-date )* ?
            (?:idea|clue|information|knowledge|data|details|answer|access|context|opinions?
                |record|feelings|way of knowing)\b.*
        |(?:'m|am|are) (?:not (?:entirely |really |quite )?(?:sure|certain)|unsure|uncertain)
            (?: (?:about (?:that|this|it)|what you mean|how to (?:answer|help|respond)
                |{open}\b).*)?
        |(?:did not|didn't) (?:quite )?understand (?:that|this|you|your
            |the)\b(?: (?:question|request))?
    )
    |(?:no (?:idea|clue|comment)|not sure|unknown to me|i'm afraid (?:not|i (?:don't know
        |can't (?:help|say|answer)).*)
        |(?:that|this|it)(?:'s| is) (?:beyond|outside) my (?:knowledge|expertise|abilities
            |scope)
        |it(?:'s| is) (?:not possible|impossible) for me to (?:answer|say|know|tell|help)\b.*
        |(?:there is|there's|i see) (?:not enough|no|insufficient) (?:information|data
            |context)(?: (?:to answer|available|provided|given))?\b.{0,40}
        |(?:please|could you) (?:please )?(?:rephrase|clarify|provide more (?:details
            |context|information))\b.*)
"""
_SORRY_ZH = r"""
    (?:(?:很|非常|十分|真的|实在)?(?:抱歉|对不起|遗憾|不好意思)[，,！!。]*(?:但是?)?|作为(?:一个
        |一名)?(?:AI|ai|人工智能)[^，,]{0,10}[，,])*
"""
_CHINESE = r"""
    (?:
        (?:我|本人|我们)?(?:真的|目前|暂时|现在|也|还|确实|并)*(?:
            不(?:太)?(?:知道|清楚|了解|确定)(?:$|答案|这(?:个|件|一)?.{0,8}|该怎么.{0,8}
                |如何回答.{0,6}|是谁.{0,10}|谁.{0,12}|是否.{0,14}|什么.{0,10}|具体.{0,8}
                |您.{0,10}|你.{0,10})
            |(?:无法|不能|没法|没办法|难以|不便|不方便|拒绝|未能|无权)(?:为您|为你|给您|给你|向您
                |直接|准确|确切)*(?:回答|提供|帮助|帮您|帮你|协助|确定|判断|给出|告诉|满足|完成您
                |完成你|完成这|确认|查询|获取|讨论|透露|回应|解答|评论).*
            |没有(?:相关|足够的?|这方面的?|任何|关于.{1,12}的)*(?:信息|资料|数据|答案|了解|权限
                |头绪)
            |(?:帮不了|答不上来|回答不了|帮不上忙).*
            |没(?:有)?(?:找到|查到)(?:任何|相关|有关)*(?:信息|资料|内容|答案)
        )
        |(?:恕|请恕)我?(?:无法|不能|难以).*|无可奉告|暂无相关(?:信息|资料|数据)
            |这超出了?我的(?:能力|知识)(?:范围)?|(?:这个问题|该问题)我?(?:无法|不能)回答|不知道
    )
"""
_SORRY_DE = r"""
    (?:(?:es tut mir (?:sehr )?leid|tut mir leid|entschuldigung|entschuldigen sie
        |verzeihung|leider|als ki(?:-\w+)?)[,.!]*(?: aber)? ?)*
"""
_GERMAN = r"""
    (?:
        (?:ich )?wei(?:ß|ss) (?:ich )?(?:es |das |die antwort |leider[ ]
            |darauf keine antwort)*(?:nicht)?(?:, (?:wer|was|wann|wo|ob)\b.*)?
        |(?:(?:das|da|dabei|damit|darauf|diese frage|dazu) )?(?:wei(?:ß|ss)
            |kann) ich (?:ihnen |dir |leider |das |dabei |dazu |darauf |diese frage[ ]
            |keine )*(?:nicht\b|antwort|auskunft|angaben)(?: (?:sagen|beantworten|helfen
            |weiterhelfen|geben|machen|antworten|beurteilen))?
        |ich kann (?:ihnen |dir |leider |das |dabei |dazu |darauf |diese frage[ ]
            |bei dieser (?:frage|anfrage) |hierzu |damit |mit dieser anfrage )*(?:nicht
            |keine(?: \w+)?) (?:sagen|beantworten|helfen|weiterhelfen|geben|machen|antworten
            |beurteilen|bestätigen)
        |ich (?:habe|besitze) (?:dazu |darüber |leider |hierzu )*(?:keine|nicht genug
            |nicht genügend) (?:ahnung|informationen|angaben|antwort|daten|kenntnis(?:se)?
            |zugriff)(?: (?:dazu|darüber|hierzu|davon))?
        |ich bin (?:mir )?(?:nicht sicher|unsicher)
            |ich bin (?:leider )?nicht in der lage\b.*|keine ahnung
        |dazu liegen mir keine (?:informationen|angaben|daten) vor
    )
"""
_SORRY_FR = r"""
    (?:(?:(?:je suis )?(?:vraiment )?désolée?|pardon|excusez-moi|malheureusement|je m'excuse
        |en tant qu'ia)[,.!]*(?: mais)? ?)*
"""
_FRENCH = r"""
    (?:
        je ne sais (?:vraiment )?pas(?: (?:qui|si|quand|où|ce que|quoi|répondre)\b.*)?
            |je n'en sais rien|je l'ignore|aucune idée
        |je ne (?:peux|puis) (?:malheureusement )?pas (?:vous |t'|y )?(?:aider|répondre
            |fournir|dire|donner|confirmer|accéder|traiter)\b.*
        |je n'ai (?:malheureusement )?(?:pas|aucune) ?(?:d'informations?|l'information
            |la réponse|accès|assez d'informations|suffisamment d'informations|de données
            |information|idée|de réponse)\b.*
        |je ne suis pas (?:sûre?|certaine?|en mesure de (?:répondre|vous aider|fournir)
            |capable de (?:répondre|vous aider))\b.*
        |je suis incapable de (?:répondre|vous aider|dire)\b.*
            |il m'est impossible de (?:répondre|vous aider|dire)\b.*
        |je ne dispose pas d(?:e |')(?:cette )?(?:informations?|données|réponse)\b.*
    )
"""
_SORRY_ES = r"""
    (?:(?:lo siento(?: mucho)?|perdón|disculpa|disculpe|lamentablemente|desafortunadamente
        |como ia)[,.!]*(?: pero)? ?)*
"""
_SPANISH = r"""
    (?:
        (?:yo )?no (?:lo )?sé(?: (?:la respuesta|quién|si|cuándo|dónde|qué|responder)\b.*)?
            |ni idea|desconozco la respuesta
        |(?:yo )?no (?:te |le )?puedo (?:ayudar(?:te|le)?|responder|contestar|proporcionar
            |decir(?:te|le)?|dar(?:te|le)?|confirmar|acceder)\b.*
        |no tengo (?:la |ninguna |suficiente |ni |más |acceso a )*(?:información|datos
            |acceso|idea|respuesta|conocimiento)\b.*
        |no estoy segur[oa]|no dispongo de (?:esa |suficiente )?(?:información|datos)\b.*
        |(?:me es imposible|no me es posible) (?:responder|ayudar|decir)\w*\b.*
    )
"""
_SORRY_JA = r"""
    (?:(?:大変|誠に|本当に)?(?:申し訳(?:ありません|ございません|ない(?:です)?)|すみません
        |ごめんなさい|恐れ入ります|残念)(?:が|けど|ですが|ながら)?[、。,]?)*
"""
_JAPANESE = r"""
    (?:私(?:には|は|に)?、?)?(?:(?:その|この|ご|お)?(?:質問|件|答え|リクエスト|ご要望|要求|内容
        |情報|詳細|それ|これ)?(?:に(?:は|ついて(?:は|の)?|関する)?|は|を|が)?、?)?
    (?:よく)?(?:分かりません|わかりません|存じません|知りません|分からない(?:です)?
        |わからない(?:です)?|不明です
        |(?:お)?答え(?:できません|することができません|することはできません)|答えられません
            |(?:ご)?回答(?:できません|いたしかねます)|お手伝い(?:できません|することができません)
        |お役に立てません|(?:ご)?提供できません|情報(?:が|は)(?:ありません|ございません
            |見つかりません)|確認できません|判断できません)
"""


def _compile(pattern: str, parts: Mapping[str, str] | None = None) -> re.Pattern[str]:
    """A pattern without line ends and indents, with `parts` in place of their names in braces."""
    joined = re.sub(r"\n\s*", "", pattern)
    for name, part in (parts or {}).items():
        joined = joined.replace("{" + name + "}", part)
    return re.compile(joined, re.IGNORECASE)


# An apology at the beginning, and the refusal after it; one pair per language.
REFUSALS = tuple(
    (_compile(sorry), _compile(pattern, parts))
    for sorry, pattern, parts in (
        (_SORRY_EN, _ENGLISH, {"open": _OPEN_EN, "can": _ABILITY_EN, "act": _ACT_EN}),
        (_SORRY_ZH, _CHINESE, {}),
        (_SORRY_DE, _GERMAN, {}),
        (_SORRY_FR, _FRENCH, {}),
        (_SORRY_ES, _SPANISH, {}),
        (_SORRY_JA, _JAPANESE, {}),
    )
)
SMALL_TALK = _compile(
    r"""
    (?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings|thanks|thank you|sure
        |of course|certainly|absolutely
        |great question|good question|that's a (?:great|good|interesting) question
            |you're welcome|no problem
        |goodbye|bye|take care|have a (?:nice|great|good) day|happy to help|glad to help
            |my pleasure)
        (?: (?:there|again|everyone|all|so much|very much|for (?:asking|your (?:question
            |patience|interest)|the question|reaching out)|to help))*
    |(?:sure|of course|certainly|absolutely|okay|ok)[,!.] (?:here (?:is|are|'s|you go)|i(?:'d
        | would|'ll| will| can|'m) (?:be )?(?:happy|glad|help|try|do)).*
    |(?:i|we) hope (?:this|that|it) (?:helps|answers|is helpful|was helpful|clarifies).*
    |(?:please )?(?:let me know|feel free to)\b.*
    |(?:i'm|i am) (?:so |very )?sorry(?: (?:for|about) (?:the|any|my|that)\b.*
        | to hear that)?|i apologi[sz]e(?: for (?:the|any|my)\b.*)?
    |(?:as|i'm|i am|i am just|i'm just) an ai(?: language)?(?: model
        | assistant)?(?:,? (?:and )?(?:i|so i) (?:do not|don't|cannot|can't|have no) .*)?
    |(?:你好|您好|早上好|晚上好|谢谢(?:您|你)?(?:的(?:提问|问题|耐心))?|不客气|再见|当然(?:可以)?
        |好的|没问题)(?:呀|啊|哦)?
    |希望(?:这|以上|对|能).{0,20}|如(?:果|有)(?:您|你)?(?:还)?有?(?:任何|其他|疑问|问题).{0,24}
        |请问.{0,20}|(?:欢迎|请)随时.{0,16}|祝(?:您|你).{0,12}
    |(?:hallo|guten (?:tag|morgen|abend)|danke(?: schön)?|vielen dank|gern(?:e)? geschehen
        |auf wiedersehen|ich hoffe, das hilft.*)
    |(?:bonjour|bonsoir|merci(?: beaucoup)?|de rien|au revoir|j'espère que (?:cela
        |ça) (?:vous )?aide.*)
    |(?:hola|buenos días|buenas tardes|gracias|muchas gracias|de nada|adiós
        |espero que esto (?:te |le )?ayude.*)
    |(?:こんにちは|こんばんは|おはようございます|ありがとうございます|どういたしまして|さようなら
        |お役に立てれば幸いです)
    """
)
