//! The languages of Django REST framework's refusals, told by the text that an anonymous caller gets.

/// DRF's translations (3.14 to 3.18) of "Authentication credentials were not provided.", each with its language.
const NOT_PROVIDED: [(&str, &str); 38] = [
    ("ar", "لم يتم تزويد بيانات الدخول."),
    ("az", "Təsdiqləmə məlumatları təchiz edilməyib."),
    ("bg", "Носители на удостоверение не са предоставени."),
    ("ca", "Credencials d'autenticació no disponibles."),
    ("cs", "Nebyly zadány přihlašovací údaje."),
    ("da", "Legitimation til autentificering blev ikke angivet."),
    ("de", "Anmeldedaten fehlen."),
    ("el", "Δεν δόθηκαν διαπιστευτήρια."),
    ("es", "Las credenciales de autenticación no se proveyeron."),
    ("et", "Autentimistunnus on esitamata."),
    ("fa", "اطلاعات برای اعتبارسنجی ارسال نشده است."),
    ("fi", "Autentikaatiotunnuksia ei annettu."),
    ("fr", "Informations d'authentification non fournies."),
    ("hu", "Nem voltak megadva azonosítók."),
    ("hy", "Նույնականացման տվյալները տրամադրված չեն:"),
    ("id", "Data autentikasi tidak diberikan."),
    (
        "it",
        "Non sono state immesse le credenziali di autenticazione.",
    ),
    ("ja", "認証情報が含まれていません。"),
    ("kk", "Аутентификация деректері берілмеген."),
    ("ko", "자격 인증 데이터가 제공되지 않았습니다."),
    (
        "ko",
        "자격 인증데이터(authentication credentials)가 제공되지 않았습니다.",
    ),
    ("lt", "Autentifikacijos duomenys nesuteikti."),
    ("lv", "Netika nodrošināti autorizācijas parametri."),
    ("mk", "Не се внесени податоци за најава."),
    ("nb", "Manglende autentiseringsinformasjon."),
    ("ne", "प्रमाणीकरण क्रेडेन्सियलहरू पयिएन | "),
    ("nl", "Authenticatiegegevens zijn niet opgegeven."),
    ("pl", "Nie podano danych uwierzytelniających."),
    ("pt", "As credenciais de autenticação não foram fornecidas."),
    ("ro", "Datele de autentificare nu au fost furnizate."),
    ("ru", "Учетные данные не были предоставлены."),
    ("sk", "Prihlasovacie údaje neboli zadané."),
    ("sl", "Avtentikacijski podatki niso bili podani."),
    ("sv", "Autentiseringsuppgifter ej tillhandahållna."),
    ("th", "ไม่พบข้อมูลการเข้าสู่ระบบ"),
    ("tr", "Giriş bilgileri verilmedi."),
    ("uk", "Реквізити перевірки достовірності не надані."),
    ("zh", "身份认证信息未提供。"),
];

/// The language of this text, if it is one of DRF's translations.
pub(super) fn of(detail: &str) -> Option<&'static str> {
    let mut known = NOT_PROVIDED.iter();
    known
        .find(|(_, text)| *text == detail)
        .map(|(language, _)| *language)
}
