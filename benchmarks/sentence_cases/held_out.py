"""Cases that were written before the rules, and not used while the rules were made.

The rule: a failure here is counted and not read. A case that somebody looks at in order to change
a rule moves to another file.
"""

from __future__ import annotations

HELD_OUT: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "medicine": (
            "Serum potassium rose to 6.8 mEq/L.¦ Calcium gluconate was given.",
            "The dose is 250 mg b.i.d. for ten days.¦ Patients should finish it.",
            "She was tested for hepatitis C.¦ The result was negative.",
            "Klebsiella and P. aeruginosa were isolated.¦ Both were resistant.",
            "His temperature was 39.2 °C.¦ Blood cultures were drawn.",
            "Inject 0.3 mL i.m. into the thigh.¦ Repeat after 5 min.¦ Then call for help.",
        ),
        "law": (
            "In Miranda v. Arizona the court set a rule.¦ It is still in force.",
            "See 17 U.S.C. § 107 and Fed. R. Civ. P. 12(b)(6) for both.¦ They differ.",
            "The parties signed Exhibit B.¦ The judge accepted it.",
            "Under art. 8 and para. 2 of the code, consent is needed.¦ No exception applies.",
            "Smith Ltd. and Jones Co. merged.¦ Their shares rose.",
        ),
        "finance": (
            "Revenue rose to €4.2 bn. in the third quarter.¦ Costs fell.",
            "The fund returned 7.5 p.a. over ten years.¦ Fees were low.",
            "Shares of Berkshire Hathaway Inc. closed at $512.33.¦ Volume was thin.",
            "It lost approx. $3 m. last year.¦ This year it broke even.",
            "The company employs 3,500.¦ Most work in Ohio.",
        ),
        "code": (
            "Open config.yaml and set debug to true.¦ Then restart.",
            "Upgrade to Python 3.12.1.¦ The bug is gone.",
            "The call os.path.join() joins paths.¦ It returns a string.",
            "Edit src/app.ts.¦ The server reloads it.",
            "The host 10.0.0.1 is down.¦ Try 10.0.0.2.¦ That one works.",
            "React.js and Vue.js are popular.¦ Both are free.",
        ),
        "chat": (
            "ok. i will try that. ¦thanks!",
            "The war ended in 1945.¦Millions had died.",
            "Sure thing :) ¦Let me know how it goes.",
            "Wait... what? ¦That can't be right!",
            "The answer is yes.¦However, there are limits",
        ),
        "general": (
            "Harry S. Truman became president in 1945.¦ He was from Missouri.",
            "The trail is 12 km.¦ Bring water.",
            "She got a grade of B.¦ Her brother got an A.¦ They were glad.",
            "The U.K. government fell in Sept. 2022.¦ Markets reacted.",
            "Mix 3 oz. of gin with 1 oz. of vermouth.¦ Stir with ice.",
            "He lives at 5 Main St. in Boston.¦ She lives in Salem.",
            "According to Lee et al. (2020), it works.¦ Others disagree.[4]¦ More data are needed.",
            "The shop opens at 9 a.m.¦ Tickets cost $5.",
            "The room was 20 ft. by 30 ft. and empty.¦ Nobody came.",
            "It was built c. 1200 by monks.¦ The tower is from ca. 1350.",
            "Gen. Grant met Gen. Lee.¦ The war was over.",
        ),
    },
    "zh": {
        "general": (
            "“你吃饭了吗？”妈妈问道。¦我摇了摇头。",
            "“我不同意。”张教授表示。¦大家都沉默了。",
            "老师说：“下课！”¦学生们跑出教室。",
            "他把《战争与和平。上册》借给了我。¦我读了三遍。",
            "U.S. News发布了排名。¦清华大学排第一。",
            "“快跑！”她大喊。¦“来不及了。”我说。",
            "这款手机售价2,999.00元。¦比去年便宜！",
            "会议于上午9:30开始（注：北京时间。），由王伟主持。¦会后有晚宴。",
            "什么是光合作用?¦植物利用阳光制造养分。",
            "第一，要多喝水；¦第二，要早睡。",
        ),
        "medicine": (
            "每次服用0.5 mg.¦ 每日两次。",
            "患者感染了E. coli。¦医生开了抗生素。",
        ),
    },
    "ja": {
        "general": (
            "「おはよう。」と母が言った。¦私は起きた。",
            "彼は「もう遅い。帰ろう。」と言って立ち上がった。¦外は雨だった。",
            "本当ですか？！¦信じられません。",
            "「ありがとう！」彼女は笑った。¦電車が来た。",
            "富士山（標高3776.24メートル。日本一）は有名だ。¦登る人も多い。",
            "価格は1.5万円です。¦送料は無料です。",
            "『雪国。』を読んだ。¦面白かった。",
        ),
    },
    "fr": {
        "general": (
            "M. Macron a rencontré Mme. Merkel à Berlin.¦ Ils ont dîné ensemble.",
            "Le Dr. Petit reçoit le lundi.¦ Il est absent le mardi.",
            "Voir p. 12 et art. 3 du contrat.¦ Tout y est.",
            "« Où vas-tu ? » demanda-t-elle.¦ Il ne répondit pas.",
            "Il mourut en 44 av. J.-C. à Rome.¦ Brutus était là.",
            "On y vend des pommes, des poires, etc. à bas prix.¦ Venez tôt.",
            "Le train part à 8 h.¦ Il arrive à midi.",
        ),
    },
    "de": {
        "general": (
            "Die Tagung beginnt am 12. September in Bonn.¦ Sie dauert drei Tage.",
            "Kaiser Wilhelm II. dankte 1918 ab.¦ Er ging ins Exil.",
            "Das gilt z. B. für Äpfel und d. h. auch für Birnen.¦ Mehr nicht.",
            "Nach § 433 Abs. 1 S. 1 BGB schuldet er die Sache.¦ Das ist klar.",
            "„Komm her!“ rief sie.¦ Er kam nicht.",
            "Das Haus hat Nr. 7 und ca. 120 qm.¦ Es ist teuer.",
            "Die Mauer fiel 1989.¦ Danach kam die Einheit.",
            "Sie feierte ihren 80. Geburtstag.¦ Viele Gäste kamen.",
            "Prof. Dr. Meier lehrt in Köln.¦ Er forscht auch.",
        ),
    },
}
